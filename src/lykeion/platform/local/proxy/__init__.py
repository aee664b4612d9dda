"""The proxy: requests for services, passed on to replicas. A process of its own, which outlives the platform's."""

"""The model repository: models as OCI artifacts, on disk or in any OCI registry."""

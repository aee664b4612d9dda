"""A model as an OCI artifact: its manifest and files, the ModelPack configuration, metrics and lineage."""

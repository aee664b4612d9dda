"""Images started on this machine: unpacked, mounted, entered."""

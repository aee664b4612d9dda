"""The limits on requests that cannot be configured."""

MAX_K = 1_000
MAX_OFFSET = 1_000
MAX_ITEMS = 256
MAX_SAMPLE = 60
MAX_PHOTOS = 64
MAX_WHERE_CHARACTERS = 4_096

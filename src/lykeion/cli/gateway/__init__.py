"""``lykeion gateway`` and ``lykeion simulate``."""

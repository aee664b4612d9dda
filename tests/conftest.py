"""No test fails for being slow on a busy machine, and none closes the file in which pytest catches standard error."""

import contextlib
import sys

from hypothesis import settings

settings.register_profile("lykeion", deadline=None)
settings.load_profile("lykeion")

with contextlib.suppress(ImportError):
    # TensorFlow's logger keeps the standard error of its import and closes it when another library resets logging.
    from absl import logging

    logging.get_absl_handler().python_handler.stream = sys.__stderr__

"""The images of programs: found in this user's layout, or pulled from their registry while the programs wait."""

import asyncio
from collections.abc import Callable, Mapping

from lykeion import images
from lykeion.core import Invalid, LykeionError
from lykeion.platform.policies.attempts import delay_s

PULL = ("lykeion", "images", "pull", "--quiet", "--json")


class ProgramImages:
    """``environment`` is that of the program that pulls them.

    ``changed`` is called when one was pulled, could not be pulled, or may be tried again.
    """

    def __init__(self, environment: Mapping[str, str], changed: Callable[[], None]) -> None:
        self._environment, self._changed = environment, changed
        self._pulls: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, tuple[int, str]] = {}

    def is_present(self, image: str) -> bool:
        """Whether the image is in the layout. Reads a file."""
        try:
            images.find_image(images.open_image_layout(), image)
        except LykeionError:
            return False
        return True

    def missing(self, image: str) -> tuple[str, str]:
        """Why a program cannot be started: a reason and a message. What has a registry is pulled."""
        try:
            pulled = images.is_in_registry(image)
        except Invalid as error:
            return "ImageNotFound", str(error)
        if not pulled:
            return "ImageNotFound", f"there is no image {image}; build it, or name it with its registry"
        if image not in self._pulls:
            self._pulls[image] = asyncio.create_task(self._pull(image))
        _, failure = self._failures.get(image, (0, ""))
        return "ImageNotPulled", failure or f"{image} is being pulled"

    async def _pull(self, image: str) -> None:
        failures, _ = self._failures.get(image, (0, ""))
        try:
            if refused := await self._run(image):
                self._failures[image] = failures + 1, f"{image}: {refused}"
                self._changed()
                await asyncio.sleep(delay_s(failures + 1))
            else:
                self._failures.pop(image, None)
        finally:
            del self._pulls[image]
        self._changed()

    async def _run(self, image: str) -> str:
        """Pull an image. Returns why it cannot be pulled, or an empty string."""
        try:
            process = await asyncio.create_subprocess_exec(
                *PULL,
                *(image, "--tag", image),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            return f"{PULL[0]}: {error.strerror}"
        try:
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        lines = said.decode(errors="replace").splitlines() or [f"the pull ended with code {process.returncode}"]
        return lines[-1].removeprefix("error: ") if process.returncode else ""

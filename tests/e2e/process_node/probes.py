"""Probes as https://kubernetes.io/docs/concepts/workloads/pods/probes/ has them: exec, HTTP and TCP."""

import asyncio
from typing import Any

import httpx

from .containers import Container

Object = dict[str, Any]


async def look(handler: Object, container: Container, address: str, seconds: float = 1) -> tuple[bool, str]:
    """Whether it holds, and what was seen. Also for ``preStop`` and ``postStart``, which add ``sleep``."""
    if command := handler.get("exec"):
        code, said = await container.execute(command["command"], seconds)
        return code == 0, said
    if request := handler.get("httpGet"):
        return await _http(request, container, address, seconds)
    if socket := handler.get("tcpSocket"):
        return await _tcp(socket.get("host") or address, _port(socket["port"], container), seconds)
    if pause := handler.get("sleep"):
        await asyncio.sleep(pause["seconds"])
    return True, ""


async def _http(request: Object, container: Container, address: str, seconds: float) -> tuple[bool, str]:
    scheme, host = request.get("scheme", "HTTP").lower(), request.get("host") or address
    url = f"{scheme}://{host}:{_port(request['port'], container)}{request.get('path', '/')}"
    headers = {"user-agent": "kube-probe/1.34", "accept": "*/*"}
    headers |= {it["name"]: it["value"] for it in request.get("httpHeaders", ())}
    try:
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            response = await asyncio.wait_for(client.get(url, headers=headers), seconds)
    except (httpx.HTTPError, TimeoutError) as error:
        return False, f'Get "{url}": {error or type(error).__name__}'
    code = response.status_code
    return 200 <= code < 400, f"HTTP probe failed with statuscode: {code}"


async def _tcp(host: str, port: int, seconds: float) -> tuple[bool, str]:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), seconds)
    except (OSError, TimeoutError) as error:
        return False, f"dial tcp {host}:{port}: {error}"
    writer.close()
    return True, ""


def _port(port: int | str, container: Container) -> int:
    if isinstance(port, int):
        return port
    return next(it["containerPort"] for it in container.spec.get("ports", ()) if it.get("name") == port)


async def repeat(probe: Object, container: Container, address: str, outcome: Any) -> None:
    """Look for ever; ``outcome(success, message)`` after as many equal results as the thresholds say.

    ``initialDelaySeconds`` is waited for once. The first look is at once, as the kubelet's after it has started.
    """
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    last, run = None, 0
    while True:
        good, message = await look(probe, container, address, probe.get("timeoutSeconds", 1))
        run = run + 1 if good is last else 1
        last = good
        needed = probe.get("successThreshold", 1) if good else probe.get("failureThreshold", 3)
        if run >= needed:
            outcome(good, message)
        await asyncio.sleep(probe.get("periodSeconds", 10))

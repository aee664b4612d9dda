"""WebSocket servers that echo, for benchmarks/gateway.py.

python bare_server.py picows|aiohttp PORT [KEY CERTIFICATE]
"""

import asyncio
import resource
import ssl
import sys


def context(files: list[str]) -> ssl.SSLContext | None:
    if not files:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(files[1], files[0])
    return made


async def serve_picows(port: int, tls: ssl.SSLContext | None) -> None:
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

    class Echo(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.BINARY:
                transport.send(WSMsgType.BINARY, frame.get_payload_as_bytes())

    server = await ws_create_server(
        lambda request: Echo(), "127.0.0.1", port, ssl=tls, backlog=4_096, websocket_handshake_timeout=60
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


async def serve_aiohttp(port: int, tls: ssl.SSLContext | None) -> None:
    from aiohttp import WSMsgType, web

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls, backlog=4_096).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kind, port, *files = sys.argv[1:]
    serve = serve_picows if kind == "picows" else serve_aiohttp
    asyncio.run(serve(int(port), context(files)))

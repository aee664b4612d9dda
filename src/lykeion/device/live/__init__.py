"""A device that stays connected: ``lykeion.v1`` over a WebSocket or long polling, in a thread of its own."""

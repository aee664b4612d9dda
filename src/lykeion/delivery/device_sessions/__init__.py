"""Sessions of devices in the fleet's store: epochs, numbers, commands that wait, and the logs of groups."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .device_presences import PRESENCE_TABLES, keep_presences, presence_of
    from .group_logs import KEPT_BROADCASTS, MAX_GROUP_NAME, Broadcast, add_broadcast, broadcasts_after, group_ends
    from .session_records import (
        Command,
        CommandState,
        Fenced,
        acknowledge,
        add_command,
        command_message,
        commands_of,
        commands_since,
        end_command,
        forget_old_commands,
        give_commands,
        resume_session,
        take_messages,
        take_numbers,
    )
    from .session_tables import COMMAND_ENDS, SESSION_TABLES, SessionBase, SessionTransaction

__all__ = [
    "COMMAND_ENDS",
    "KEPT_BROADCASTS",
    "MAX_GROUP_NAME",
    "PRESENCE_TABLES",
    "SESSION_TABLES",
    "Broadcast",
    "Command",
    "CommandState",
    "Fenced",
    "SessionBase",
    "SessionTransaction",
    "acknowledge",
    "add_broadcast",
    "add_command",
    "broadcasts_after",
    "command_message",
    "commands_of",
    "commands_since",
    "end_command",
    "forget_old_commands",
    "give_commands",
    "group_ends",
    "keep_presences",
    "presence_of",
    "resume_session",
    "take_messages",
    "take_numbers",
]
__getattr__ = lazy(__name__)

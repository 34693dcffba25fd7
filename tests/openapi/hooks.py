"""Who asks, and for what: a person of the test's own, names of things that are there, and sound where sound is wanted."""

import io
import os
import re
import uuid
import wave

import requests
import schemathesis

HEADER = "X-Companion-Person"
MEMORY = "/api/v1/memories/{id}"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
EXAMPLE = "2026-11-24T13:54:09Z"
# Whoever asks these is nobody afterwards.
ENDING = [("DELETE", "/api/v1/me"), ("POST", "/api/v1/me/rotate")]


def new_person(case) -> str:
    root = case.operation.base_url.rstrip("/")
    started = requests.post(f"{root}/api/v1/session/start", timeout=10)
    started.raise_for_status()
    return started.cookies["companion_person"]


@schemathesis.auth(refresh_interval=None)
class Person:
    """The same for all requests, but a new one for each that erases its person or ends their token. The operator's part is asked with
    the operator's token: not by the configuration, which would do so for everything and leave all others without theirs."""

    token: str | None = None

    def get(self, case, context):
        schemes = {name for needed in case.operation.definition.raw.get("security", []) for name in needed}
        if "bearer" in schemes:
            return "Authorization", f"Bearer {os.environ['ADMIN_TOKEN']}"
        if not schemes:
            return None
        if (case.operation.method.upper(), case.operation.path) in ENDING:
            return HEADER, new_person(case)
        if Person.token is None:
            Person.token = new_person(case)
        return HEADER, Person.token

    def set(self, case, data, context):
        if data is not None:
            header, value = data
            case.headers[header] = value


def new_memory(case) -> str:
    """One for each case: it may be forgotten by it."""
    Person.token = Person.token or new_person(case)
    root = case.operation.base_url.rstrip("/")
    headers = {HEADER: Person.token}
    added = requests.post(f"{root}/api/v1/memories", json={"text": "tea"}, headers=headers, timeout=10)
    added.raise_for_status()
    return added.json()["id"]


def new_way_in(case, kind: str) -> str:
    """The secret of a link, or a recovery code, of somebody else."""
    root = case.operation.base_url.rstrip("/")
    made = requests.post(f"{root}/api/v1/me/{kind}", headers={HEADER: new_person(case)}, timeout=10)
    made.raise_for_status()
    return made.json()["link"].split("#")[1] if kind == "link" else made.json()["recovery_code"]


def second_of_silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 8000, "NONE", ""))
        sound.writeframes(bytes(16000))
    return file.getvalue()


@schemathesis.hook
def map_case(context, case):
    """Nobody guesses the name of a file, or the id of an audio reply or a memory: every second one is real. No schema tells what a sound is,
    and nobody guesses a link, a recovery code or the admin token: what has to be one is."""
    positive = case.meta.generation.mode.is_positive
    # Whoever is wrong too often is not listened to for a minute.
    if positive and case.operation.path == "/api/v1/admin/sign-in":
        case.body = {"token": os.environ["ADMIN_TOKEN"]}
    if positive and case.operation.path == "/api/v1/voice/process" and isinstance(case.body, dict):
        case.body["audio"] = second_of_silence()
    ways_in = {"/api/v1/me/link/redeem": ("secret", "link"), "/api/v1/me/recovery/redeem": ("code", "recovery")}
    field, kind = ways_in.get(case.operation.path, (None, None))
    if field and positive and isinstance(case.body, dict):
        case.body[field] = new_way_in(case, kind)
    # This tool makes no handshake of a WebSocket, which is asked for in a session that is there.
    if positive and case.operation.path == "/api/v1/voice/ws" and case.query:
        case.query["session_id"] = str(uuid.uuid4())
    # To JSON Schema the name of a format is a remark, so an empty text will do.
    said_at = case.body.get("said_at") if isinstance(case.body, dict) else None
    if positive and isinstance(said_at, str) and not MOMENT.match(said_at):
        case.body["said_at"] = EXAMPLE
    known = {"/static/{name}": ("name", "ASSET"), "/api/v1/voice/audio/{audio_id}": ("audio_id", "AUDIO_ID")}
    parameter, real = known.get(case.operation.path, (None, None))
    if case.operation.path == MEMORY and positive and sum(str(case.path_parameters.get("id")).encode()) % 2 == 0:
        case.path_parameters["id"] = new_memory(case)
    if parameter and positive:
        made = str(case.path_parameters.get(parameter))
        if sum(made.encode()) % 2 == 0:
            case.path_parameters[parameter] = os.environ[real]
    return case

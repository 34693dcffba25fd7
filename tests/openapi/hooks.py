"""Who asks, and for what: a person of the test's own, names of things that are there, and sound where sound is wanted."""

import io
import os
import wave

import requests
import schemathesis

MEMORY = "/api/v1/memories/{id}"


def new_person(case) -> str:
    root = case.operation.base_url.rstrip("/")
    started = requests.post(f"{root}/api/v1/session/start", timeout=10)
    started.raise_for_status()
    return started.cookies["companion_person"]


@schemathesis.auth(refresh_interval=None)
class Person:
    """The same for all requests, but a new one for each that erases its person."""

    token: str | None = None

    def get(self, case, context):
        if not case.operation.definition.raw.get("security"):
            return None
        if case.operation.method.upper() == "DELETE" and case.operation.path == "/api/v1/me":
            return new_person(case)
        if Person.token is None:
            Person.token = new_person(case)
        return Person.token

    def set(self, case, data, context):
        if data is not None:
            case.headers["X-Companion-Person"] = data


def new_memory(case) -> str:
    """One for each case: it may be forgotten by it."""
    Person.token = Person.token or new_person(case)
    root = case.operation.base_url.rstrip("/")
    headers = {"X-Companion-Person": Person.token}
    added = requests.post(f"{root}/api/v1/memories", json={"text": "tea"}, headers=headers, timeout=10)
    added.raise_for_status()
    return added.json()["id"]


def second_of_silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 8000, "NONE", ""))
        sound.writeframes(bytes(16000))
    return file.getvalue()


@schemathesis.hook
def map_case(context, case):
    """Nobody guesses the name of a file, or the id of an audio reply or a memory: every second one is real. No schema tells what a sound is:
    what has to be one is. Nobody guesses the admin token either."""
    positive = case.meta.generation.mode.is_positive
    # Whoever is wrong too often is not listened to for a minute.
    if positive and case.operation.path == "/api/v1/admin/sign-in":
        case.body = {"token": os.environ["ADMIN_TOKEN"]}
    if positive and case.operation.path == "/api/v1/voice/process" and isinstance(case.body, dict):
        case.body["audio"] = second_of_silence()
    known = {"/static/{name}": ("name", "ASSET"), "/api/v1/voice/audio/{audio_id}": ("audio_id", "AUDIO_ID")}
    parameter, real = known.get(case.operation.path, (None, None))
    if case.operation.path == MEMORY and positive and sum(str(case.path_parameters.get("id")).encode()) % 2 == 0:
        case.path_parameters["id"] = new_memory(case)
    if parameter and positive:
        made = str(case.path_parameters.get(parameter))
        if sum(made.encode()) % 2 == 0:
            case.path_parameters[parameter] = os.environ[real]
    return case

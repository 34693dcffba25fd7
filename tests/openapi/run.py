"""Asks the real server, a bounded number of times, everything its OpenAPI document allows and much it does not; any answer that is
not as the document says is a failure. Called by tests/run; by hand: target/venv-openapi/bin/python tests/openapi/run.py

Which answers are no failures, and why, is told in schemathesis.toml, which lies beside this file.
"""

import os
import pathlib
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import uuid

import requests

HERE = pathlib.Path(__file__).parent
SERVER = HERE.parent.parent / "target/debug/companion"
# So many for each address; by number and not by time, so that a seed asks the same on a busy machine.
REQUESTS = "25"
AT_MOST_SECONDS = 900
ADMIN_TOKEN = "the-operators"


def start(data: pathlib.Path, log):
    """The server, and where it listens."""
    settings = {"DATA_DIR": data, "PORT": "0", "RATE_LIMIT_ENABLED": "false", "ENABLE_API_DOCS": "true"}
    settings |= {"LOG_FORMAT": "json", "MIN_FREE_DISK_BYTES": "0", "ADMIN_TOKEN": ADMIN_TOKEN}
    # Whatever is said to it, it hears this.
    settings |= {"PATH": os.environ["PATH"], "STT_COMMAND": "sh -c 'echo I feel calm'", "TTS_COMMAND": "espeak-ng --stdout"}
    server = subprocess.Popen([SERVER], env=settings, cwd=data.parent, stdout=subprocess.PIPE, stderr=log, text=True)
    url = server.stdout.readline().strip().removeprefix("Listening on ")
    return server, url


def audio_reply(data: pathlib.Path, url: str) -> str:
    """An audio reply that is there, until speech makes them."""
    session = requests.post(f"{url}/api/v1/session/start", timeout=10).json()["session_id"]
    said = {"session_id": session, "message": "hello"}
    requests.post(f"{url}/api/v1/chat", json=said, timeout=10).raise_for_status()
    audio = uuid.uuid4()
    with sqlite3.connect(data / "companion.db", timeout=10) as db:
        (key,) = db.execute("SELECT id FROM sessions WHERE public_id = ?", [uuid.UUID(session).bytes]).fetchone()
        row = [audio.bytes, key, "mp3", 1000, 1792000000000]
        db.execute("INSERT INTO audio (public_id, session_id, format, bytes, created_at) VALUES (?, ?, ?, ?, ?)", row)
    (data / "audio" / f"{audio}.mp3").write_bytes(b"\xff\xfb" * 500)
    return str(audio)


def ask(data: pathlib.Path, url: str, seed: str) -> int:
    page = requests.get(url, timeout=10).text
    known = {
        "ASSET": re.search("/static/([^\"]+)", page).group(1),
        "AUDIO_ID": audio_reply(data, url),
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
    }
    tool = [pathlib.Path(sys.executable).parent / "schemathesis", "--no-color", "--config-file", HERE / "schemathesis.toml"]
    how = ["--checks", "all", "--max-examples", REQUESTS, "--seed", seed, "--continue-on-failure", "--generation-database", "none"]
    command = [*tool, "run", f"{url}/api/v1/openapi.json", *how]
    return subprocess.run(command, env=os.environ | known, cwd=data.parent, timeout=AT_MOST_SECONDS).returncode


def main() -> int:
    seed = os.environ.get("TEST_SEED") or str(random.SystemRandom().randrange(2**32))
    print(f"TEST_SEED={seed}", flush=True)
    with tempfile.TemporaryDirectory() as place, open(f"{place}/log", "w+") as log:
        data = pathlib.Path(place, "data")
        server, url = start(data, log)
        try:
            failed = ask(data, url, seed)
        finally:
            server.terminate()
            ended = server.wait(60)
        log.seek(0)
        bad = [line for line in log if "request_failed" in line or "panicked" in line or '"ERROR"' in line]
    if ended != 0 or bad:
        print(f"the server ended with {ended} and logged:", *bad[:20], sep="\n")
        return 1
    return failed


sys.exit(main())

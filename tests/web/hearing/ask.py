"""Has Whisper hear the recording that it is given: STT_COMMAND of the browser tests."""

import socket
import sys

whisper, recording = sys.argv[1:]
asked = socket.socket(socket.AF_UNIX)
asked.connect(whisper)
asked.sendall(f"{recording}\n".encode())
print(asked.makefile().read())

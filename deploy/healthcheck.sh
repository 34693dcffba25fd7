#!/usr/bin/env bash
# Is the server of this container up? Exit 0 when GET /livez answers 200, else 1. In the image as `companion-healthcheck`,
# for HEALTHCHECK: the image has no curl, but bash speaks TCP. Not /readyz: that says 503 while a schema is upgraded, and a
# restart then would only make the upgrade begin again.
set -euo pipefail

exec 3<>"/dev/tcp/127.0.0.1/${PORT:-8000}"
printf 'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]

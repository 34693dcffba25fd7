#!/usr/bin/env bash
# Runs the jobs of crontab.example in a container that has no cron: the second service of compose.yaml. In the image as
# `companion-schedule`. Takes no arguments; settings come from the environment, times from TZ (UTC when unset).
#
# Each job has a period, named by a text that changes when the job is due. Once a minute every job whose period has changed
# is run, one after the other and the backup before the cleanup, so that a machine that slept through the night makes up for
# it when it wakes. A run that fails is logged with its exit code, which `companion-maint --help` explains, and leaves
# /tmp/failed-<job> until the job succeeds; `companion-schedule --check` is 1 while there is one (the container's health).
# 75, another run of the job holds the lock, is no failure: that run answers for the work.
set -uo pipefail

jobs=(cleanup-audio backup-db cleanup-sessions verify-backups)

# The period `$1` is in: hourly; daily from 02:00; daily from 03:00; weekly from Sunday 04:30.
period() {
    case "$1" in
        cleanup-audio) date +%F-%H ;;
        backup-db) date --date='2 hours ago' +%F ;;
        cleanup-sessions) date --date='3 hours ago' +%F ;;
        # Weeks of %G-%V begin on Monday; a day less four and a half hours later than now, they begin on Sunday at 04:30.
        verify-backups) date --date='19 hours 30 minutes' +%G-%V ;;
    esac
}

run() {
    local code=0
    companion-maint "$1" --json &
    child=$!
    wait "$child" || code=$?
    child=
    case "$code" in
        0 | 75) rm -f "/tmp/failed-$1" ;;
        *)
            echo "companion-schedule: $1 ended with exit $code" >&2
            echo "$code" >"/tmp/failed-$1"
            ;;
    esac
}

# The running job hears it too and stops cleanly; what it did until then is done.
stop() {
    if [ -n "$child" ]; then
        kill -TERM "$child" 2>/dev/null
        wait "$child"
    fi
    exit 0
}

if [ "${1:-}" = --check ]; then
    failed=(/tmp/failed-*)
    if [ -e "${failed[0]}" ]; then
        echo "failed last time: ${failed[*]#/tmp/failed-}"
        exit 1
    fi
    exit 0
elif [ $# -gt 0 ]; then
    echo "companion-schedule: $1 means nothing here; it takes nothing, or --check" >&2
    exit 2
fi

child=
trap stop TERM INT
declare -A last
for job in "${jobs[@]}"; do last[$job]=$(period "$job"); done
while true; do
    for job in "${jobs[@]}"; do
        now=$(period "$job")
        if [ "$now" != "${last[$job]}" ]; then
            last[$job]=$now
            run "$job"
        fi
    done
    sleep 60 &
    wait $!
done

#!/bin/sh
# Runs the jobs of crontab.example in a container that has no cron: the second service of compose.yaml. In the image as
# `companion-schedule`. To run it takes no argument; settings come from the environment, times from TZ (UTC when unset).
#
# Each job has a slot, a number that grows when the job is due. At its start and then once a minute every job whose slot has
# grown since its last run is run, once however many slots were missed, one job after the other and the backup before the
# cleanup. What was last run is kept in `schedule` beside the data directory, so that a machine that was off makes up for it.
# On a new installation nothing is missed yet: each job waits for its time. A job that last ran more than an hour from now
# shows a clock that went back; it is run again, and its own fuses say what they think of the clock.
#
# A run that takes too long is ended. One that fails is logged with its exit code, which `companion-maint --help` explains.
# 75, another run of the job holds the lock, is neither success nor failure: that run answers for the work.
#
# `companion-schedule --check` (the container's health) is 1 and says why when a job failed last time, when none of its runs
# has succeeded for too long, or when this loop is stuck. A backup that ended with 3 (most rows have gone) tells it once, and
# the next one succeeds; so that this hides nothing, it stays until somebody says `companion-schedule --seen`.
set -u

jobs='cleanup-audio backup-db cleanup-sessions verify-backups'
# What is known of each job: its last slot, when it last ran and when it last succeeded (or when we began), its last exit
# code. What counts lies in /tmp, which is memory, so that a full disk hides nothing and repeats nothing.
state=/tmp/companion-schedule
: "${DATA_DIR:?}"
kept=${DATA_DIR%/*}/schedule

# Of the job $1: its slot now, how many seconds a run may take, after how many without success it is overdue.
look_up() {
    now=$(date +%s)
    case "$1" in
        # By UTC, in which no hour comes twice.
        cleanup-audio) slot=$(date --utc +%Y%m%d%H) longest=1800 overdue=12600 ;;
        # Daily from 02:00, and from 03:00: 30 hours are a night missed.
        backup-db) slot=$(date --date='2 hours ago' +%Y%m%d) longest=3300 overdue=108000 ;;
        cleanup-sessions) slot=$(date --date='3 hours ago' +%Y%m%d) longest=7200 overdue=108000 ;;
        # Weeks of %G%V begin on Monday; a day less four and a half hours later than now, they begin on Sunday at 04:30.
        verify-backups) slot=$(date --date='19 hours 30 minutes' +%G%V) longest=21600 overdue=777600 ;;
    esac
}

# Reads what is known of a job from the file $1; 1 when that is nothing, or not whole.
recall() {
    [ -r "$1" ] && IFS=' ' read -r last_slot ran succeeded code <"$1" || return 1
    case "$last_slot:$ran:$succeeded:$code" in *[!0-9:]* | :* | *::* | *:) return 1 ;; esac
}

# Writes $2 into the file $1, whole or not at all.
put() {
    echo "$2" >"$1.new" && mv "$1.new" "$1"
}

# A job whose run could not be remembered at all would be run again each minute, so then this ends, to be started afresh.
remember() {
    put "$kept/$1" "$2" || echo "companion-schedule: $1: its last run cannot be kept for the next start" >&2
    put "$state/$1" "$2" || exit 1
}

# The loop's next sign of life comes within $1 seconds.
promise() {
    put "$state/alive" $(($(date +%s) + $1))
}

run() {
    code=0
    promise $((longest + 300))
    timeout --kill-after=60 "$longest" companion-maint "$1" --json &
    wait "$!" || code=$?
    case "$code" in
        0) succeeded=$now ;;
        75) code=0 ;;
        *) echo "companion-schedule: $1 ended with exit $code" >&2 ;;
    esac
    if [ "$1:$code" = backup-db:3 ]; then
        code=0
        put "$kept/unseen" "$slot" || echo "companion-schedule: $1: its exit 3 cannot be kept for the next start" >&2
        put "$state/unseen" "$slot" || exit 1
    fi
    remember "$1" "$slot $now $succeeded $code"
}

# The running job (or the minute's sleep) hears it too and stops cleanly. It is not remembered, so the next start runs it
# again. `$!` and no name of ours for it: a signal may come before that is given.
stop() {
    kill -TERM "${!:-}" 2>/dev/null && wait "$!"
    exit 0
}

# Prints what is wrong.
check() {
    now=$(date +%s)
    alive=$(cat "$state/alive" 2>/dev/null) || alive=0
    # More than the longest run ahead: the clock went back, and the loop has not noticed.
    if [ "$now" -gt "$alive" ] || [ $((alive - now)) -gt 22000 ]; then
        echo "the scheduler does not run, or is stuck"
        return
    fi
    if [ -e "$state/unseen" ]; then
        echo "backup-db: ended with exit 3 on $(cat "$state/unseen"); when you have seen to it: companion-schedule --seen"
    fi
    for job in $jobs; do
        look_up "$job"
        if ! recall "$state/$job"; then
            echo "$job: nothing is known of it"
        elif [ "$code" != 0 ]; then
            echo "$job: ended with exit $code"
        elif [ $((now - succeeded)) -gt "$overdue" ]; then
            echo "$job: has not succeeded for $(((now - succeeded) / 3600)) hours"
        fi
    done
}

if [ "${1:-}" = --check ]; then
    wrong=$(check)
    [ -z "$wrong" ] && exit 0
    echo "$wrong"
    exit 1
elif [ "${1:-}" = --seen ]; then
    exec rm -f "$kept/unseen" "$state/unseen"
elif [ $# -gt 0 ]; then
    echo "companion-schedule: $1 means nothing here; it takes nothing, --check or --seen" >&2
    exit 2
fi

trap stop TERM INT
mkdir -p "$state" "$kept"
[ ! -e "$kept/unseen" ] || cp "$kept/unseen" "$state/unseen"
for job in $jobs; do
    look_up "$job"
    recall "$kept/$job" || { last_slot=$slot ran=$now succeeded=$now code=0; }
    remember "$job" "$last_slot $ran $succeeded $code"
done
while true; do
    for job in $jobs; do
        look_up "$job"
        recall "$state/$job" || exit 1
        if [ "$slot" -gt "$last_slot" ] || [ $((ran - now)) -gt 3600 ]; then
            run "$job"
        fi
    done
    promise 300
    sleep 60 &
    wait "$!"
done

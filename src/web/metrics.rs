//! What the server tells of itself to those who may know: as Prometheus' text and as JSON.
//!
//! With `METRICS_TOKEN` set, those who send it; without, whoever asks from this machine and not through a proxy.

use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus::proto::MetricFamily;

use crate::app::App;
use crate::app::house::{DiskUse, House, LastRun, Rows};
use crate::app::turn::Timings;
use crate::domain::chat::ServiceState;
use crate::domain::clock::Timestamp;
use crate::domain::upstream::{CallEnd, Circuit, UpstreamReport};
use crate::telemetry::exposition::{self, Gauges};
use crate::telemetry::metrics::{BodyRefusal, Metrics, Stage};
use crate::telemetry::sparing::Sparing;
use crate::web::access::{AccessControl, bearer};
use crate::web::answer_budget::AnswerBudget;
use crate::web::byte_budget::ByteBudget;
use crate::web::error::ApiError;
use crate::web::openapi::ErrorBody;
use crate::web::proxies::is_from_this_machine;
use crate::web::voice_socket::VoiceSockets;

/// How the last run of a job can have ended, as the record of runs says it.
const OUTCOMES: [&str; 6] = ["running", "succeeded", "partial", "failed", "refused", "killed"];

/// Tells how the server fares, for Prometheus.
#[utoipa::path(
    method(get, head),
    path = "/metrics",
    operation_id = "metrics_text",
    responses(
        (status = 200, description = "Every number, with what it means", body = String, content_type = "text/plain"),
        (status = 401, description = "`METRICS_TOKEN` is set and was not sent", body = ErrorBody),
        (status = 404, description = "It is not set, and this is not the server's own machine", body = ErrorBody),
    ),
)]
pub async fn text(
    request: HttpRequest,
    app: web::Data<App>,
    metrics: web::Data<Metrics>,
    (bodies, answers): (web::Data<ByteBudget>, web::Data<AnswerBudget>),
    sockets: web::Data<VoiceSockets>,
) -> Result<HttpResponse, ApiError> {
    check_access(&request)?;
    let families = families(&app, &metrics, (&bodies, &answers), &sockets).await;
    let mut response = HttpResponse::Ok();
    Ok(response.insert_header((CONTENT_TYPE, exposition::TEXT)).body(exposition::text(&families)))
}

/// Tells the same as JSON.
#[utoipa::path(
    method(get, head),
    path = "/api/v1/metrics",
    operation_id = "metrics_json",
    responses(
        (status = 200, description = "`counters`, `gauges`, `histograms` and the `timestamp`", body = Object),
        (status = 401, description = "`METRICS_TOKEN` is set and was not sent", body = ErrorBody),
        (status = 404, description = "It is not set, and this is not the server's own machine", body = ErrorBody),
    ),
)]
pub async fn json(
    request: HttpRequest,
    app: web::Data<App>,
    metrics: web::Data<Metrics>,
    (bodies, answers): (web::Data<ByteBudget>, web::Data<AnswerBudget>),
    sockets: web::Data<VoiceSockets>,
) -> Result<HttpResponse, ApiError> {
    check_access(&request)?;
    let families = families(&app, &metrics, (&bodies, &answers), &sockets).await;
    Ok(HttpResponse::Ok().json(exposition::json(&families, &app.now().to_string())))
}

/// Counts a body that was not taken.
pub(crate) fn refused_body(request: &HttpRequest, why: BodyRefusal) {
    if let Some(metrics) = request.app_data::<web::Data<Metrics>>() {
        metrics.refused_body(why);
    }
}

/// Counts how long each stage of a turn took; stages that there were none of are left out.
pub(crate) fn count_stages(metrics: &Metrics, timings: &Timings) {
    let of = [
        timings.stt_ms,
        timings.first_token_ms,
        timings.llm_generation_ms,
        timings.first_audio_ms,
        timings.tts_ms,
        timings.commit_ms,
        timings.total_ms,
    ];
    for (stage, ms) in Stage::ALL.into_iter().zip(of).filter(|(_, ms)| *ms > 0.0) {
        metrics.stage(stage, Duration::from_secs_f64(ms / 1000.0));
    }
}

/// Who asks without the right is not told that there is something, unless there is a token to be right with.
fn check_access(request: &HttpRequest) -> Result<(), ApiError> {
    let control = request.app_data::<web::Data<AccessControl>>().ok_or(ApiError::NotFound)?;
    let refusal = match (control.metrics_token(), bearer(request)) {
        (Some(token), Some(sent)) => {
            return control.check(request, sent, [Some(token), None], ApiError::TokenNeeded);
        }
        (Some(_), None) => ApiError::TokenNeeded,
        (None, _) if is_from_this_machine(request) => return Ok(()),
        (None, _) => ApiError::NotFound,
    };
    static LINES: LazyLock<Sparing> = LazyLock::new(Sparing::default);
    if let Some(left_out) = LINES.one_more() {
        tracing::warn!(
            event = "metrics_refused",
            left_out,
            "Somebody asked for the metrics who may not read them"
        );
    }
    Err(refusal)
}

async fn families(
    app: &web::Data<App>,
    metrics: &Metrics,
    (bodies, answers): (&ByteBudget, &AnswerBudget),
    sockets: &VoiceSockets,
) -> Vec<MetricFamily> {
    let house = app.clone().into_inner().house().await;
    let mut gauges = Gauges::default();
    let (small, large) = bodies.held_bytes();
    tell_bodies(&mut gauges, small, large);
    let help = "Memory that large answers take until they are read.";
    gauges.tell("companion_inflight_answer_bytes", help, Some(answers.held_bytes()));
    gauges.tell("companion_inflight_turns", "Turns running now.", Some(app.running_turns()));
    gauges.tell("companion_voice_sockets", "Voice sockets open now.", Some(sockets.open() as u64));
    gauges.tell("process_resident_memory_bytes", "Memory the server holds.", app.resident_bytes());
    tell_house(&mut gauges, &house);
    tell_upstreams(&mut gauges, &app.upstreams());
    gauges.with(metrics.counted())
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating point")]
fn tell_bodies(gauges: &mut Gauges, small: u64, large: u64) {
    let name = "companion_inflight_body_bytes";
    let help = "Memory set aside for request bodies, by whether they are larger than 64 KiB.";
    let pools = [("small", small), ("large", large)];
    gauges.tell_each(name, help, pools.map(|(pool, bytes)| (vec![("size", pool)], bytes as f64)));
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating point")]
fn tell_upstreams(gauges: &mut Gauges, upstreams: &[UpstreamReport]) {
    let of = |report: &UpstreamReport, kind, value| vec![("upstream", report.name), (kind, value)];
    let name = "companion_upstream_calls_total";
    let help = "Calls of services outside, by how they ended.";
    let calls = upstreams
        .iter()
        .flat_map(|report| CallEnd::ALL.into_iter().zip(report.calls).map(move |end| (report, end)));
    gauges.tell_counted(
        name,
        help,
        calls.map(|(report, (end, count))| (of(report, "end", end.label()), count as f64)),
    );
    let name = "companion_upstream_circuit";
    let help = "1 for the state of the circuit breaker of a service outside: while it is open, the service is not asked.";
    let circuits = upstreams.iter().flat_map(|report| Circuit::ALL.map(|circuit| (report, circuit)));
    let circuits = circuits.map(|(report, circuit)| {
        (of(report, "state", circuit.label()), f64::from(u8::from(report.circuit == circuit)))
    });
    gauges.tell_each(name, help, circuits);
    let name = "companion_upstream_up";
    let help = "1 while a service outside answers, by the last call or look.";
    let up = |report: &UpstreamReport| f64::from(u8::from(report.state == ServiceState::Connected));
    gauges.tell_each(
        name,
        help,
        upstreams.iter().map(|report| (vec![("upstream", report.name)], up(report))),
    );
    let name = "companion_upstream_connections";
    let help = "Connections open to a service outside.";
    let open = upstreams.iter().map(|report| (vec![("upstream", report.name)], report.connections as f64));
    gauges.tell_each(name, help, open);
}

/// Under the names and with the words of `companion-maint status --metrics-file`.
fn tell_house(gauges: &mut Gauges, house: &House) {
    let DiskUse { free, backups_free, database, log, audio, backups, .. } = house.disk;
    gauges.tell("companion_disk_free_bytes", "Free bytes where the database lies.", free);
    gauges.tell("companion_database_bytes", "Bytes the database takes on disk.", database);
    gauges.tell("companion_log_bytes", "Bytes the write-ahead log takes on disk.", log);
    gauges.tell("companion_audio_bytes", "Bytes of audio replies.", audio);
    gauges.tell("companion_backup_bytes", "Bytes of backups.", backups);
    let help = "Free bytes where the backups lie, if that is a disk of its own.";
    gauges.tell("companion_backup_disk_free_bytes", help, backups_free);
    tell_what_is_to_come(gauges, house);
    let Some(Rows { sessions, checkpoints, memories, persons, outbox, jobs }) = &house.rows else { return };
    gauges.tell("companion_sessions", "Sessions there are.", Some(*sessions));
    gauges.tell("companion_checkpoints", "Checkpoints there are.", Some(*checkpoints));
    gauges.tell("companion_memories", "Memories there are.", Some(*memories));
    gauges.tell("companion_persons", "Persons there are.", Some(*persons));
    let help = "Changes of memories that wait to be carried to Qdrant.";
    gauges.tell("companion_memory_outbox_changes", help, Some(outbox.changes));
    let help = "How long the first of them has waited.";
    gauges.tell("companion_memory_outbox_age_seconds", help, Some(outbox.oldest_ms / 1000));
    tell_jobs(gauges, jobs);
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating point")]
fn tell_what_is_to_come(gauges: &mut Gauges, house: &House) {
    gauges.tell("companion_turns_to_learn", "Turns that are still to be learned from.", house.to_learn);
    let help = "Memories that the model is still to be asked about, to be found by their meaning.";
    gauges.tell("companion_memories_to_embed", help, house.to_embed);
    let of_rows = house.next.map(|next| {
        [
            ("sessions", next.next_cleanup_sessions),
            ("checkpoints", next.next_cleanup_checkpoints),
            ("memories", next.next_cleanup_memories),
            ("persons", next.next_cleanup_persons),
        ]
    });
    let of_files = house.disk.next_audio_files.map(|files| ("audio_files", files));
    let all = of_rows.into_iter().flatten().chain(of_files);
    let help = "What the next cleanup would delete, by kind; what could not be counted in time is left out.";
    gauges.tell_each(
        "companion_next_cleanup",
        help,
        all.map(|(kind, many)| (vec![("kind", kind)], many as f64)),
    );
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating point")]
fn tell_jobs(gauges: &mut Gauges, jobs: &[LastRun]) {
    let name = "companion_job_last_run_timestamp_seconds";
    let help = "When the job last ran, whatever became of it.";
    gauges.tell_each(name, help, jobs.iter().map(|run| (of_job(run), seconds(run.started_at))));
    let name = "companion_job_last_success_timestamp_seconds";
    let help = "When the job's last run that succeeded began.";
    let succeeded = jobs.iter().filter_map(|run| Some((of_job(run), seconds(run.last_success?))));
    gauges.tell_each(name, help, succeeded);
    let name = "companion_job_last_outcome";
    let help = "1 for what became of the job's last run, by the record of runs.";
    let ends = jobs.iter().flat_map(|run| OUTCOMES.map(|outcome| (run, outcome)));
    let ends = ends.map(|(run, outcome)| {
        (vec![("job_name", run.job), ("outcome", outcome)], f64::from(u8::from(run.outcome == outcome)))
    });
    gauges.tell_each(name, help, ends);
    let help = "Bytes that the job's last run gave back to the file system.";
    let freed = jobs.iter().filter_map(|run| Some((of_job(run), run.freed? as f64)));
    gauges.tell_each("companion_job_last_freed_bytes", help, freed);
}

fn of_job(run: &LastRun) -> Vec<(&str, &str)> {
    vec![("job_name", run.job)]
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of our time are exact")]
fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

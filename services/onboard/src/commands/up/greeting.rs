//! What `up` prints once everything is there: addresses, and what to try.

use std::io::Write as _;
use std::time::Duration;

use onboard_auth::Auth;
use onboard_runtime::Service as _;
use onboard_stack::Stack;
use onboard_todo::Todo;

/// The view of all registrations in Temporal's web UI. Which columns it has is kept in the
/// browser alone; no address can say it (UI 2.54).
const DESK: &str = "/namespaces/default/workflows?query=WorkflowType%3D%22UserRegistration%22";

/// Prints it to standard output.
pub(super) fn show(stack: &Stack, took: Duration) {
    // A closed terminal is no reason to stop serving.
    write!(std::io::stdout().lock(), "{}", text(stack, took)).ok();
}

fn text(stack: &Stack, took: Duration) -> String {
    let servers = stack.servers();
    let url = |service| {
        let port = stack.ports().service(service);
        port.map(|port| format!("http://127.0.0.1:{port}")).unwrap_or_default()
    };
    format!(
        "
Everything is up ({took:.1} s).

  auth API     {auth}
  todo API     {todo}
  Temporal     {temporal}   (web UI)
  RabbitMQ     {management}   (guest / guest)
  MongoDB      {mongodb}
  logs         {logs}

The registrations as the desk sees them (temporal/README.md adds their stage):
  {temporal}{DESK}

Try it:
  onboard register ada@example.com
or
  curl -i {auth}/api/v1/auth/register \\
    -H 'content-type: application/json' \\
    -d @- <<< '{{\"email\":\"ada@example.com\",\"password\":\"a long enough secret\"}}'

Ctrl-C stops everything; the data stays for the next run.
",
        took = took.as_secs_f32(),
        auth = url(Auth::NAME),
        todo = url(Todo::NAME),
        temporal = servers.temporal_ui_url(),
        management = servers.management_url(),
        mongodb = servers.mongodb_uri(),
        logs = servers.home().dir().join("logs").display(),
    )
}

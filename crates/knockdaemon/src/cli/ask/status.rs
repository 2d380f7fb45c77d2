//! What `status` shows to people.

use crate::cli::output::Printer;
use crate::cli::paint::{Paint, Role};
use crate::control::protocol::{Agenda, Failed, Mode, Source, SourceState, Status};

use super::shown;
use super::table::{Cell, lines, number, span, word};

/// Orders of the agenda that are shown; `--json` has more.
const SHOWN: usize = 10;

/// All of it, the most urgent first.
pub(super) fn show(status: &Status, paint: Paint, out: &mut Printer) {
    let mode = match status.mode {
        Mode::Respond => String::new(),
        Mode::Test => paint.text(Role::Notable, ", -test: responds to nothing"),
    };
    #[allow(clippy::cast_precision_loss, reason = "told to people in two units")]
    let up = span(status.uptime_s as f64);
    out.line(&format!(
        "{} {}, process {}, up {up}{mode}",
        paint.text(Role::Strong, "knockdaemon"),
        shown(&status.version),
        status.pid,
    ));
    let mut facts = vec![vec![word("config"), word(config(status))]];
    facts.push(vec![word("state"), store(status)]);
    facts.push(vec![word("queues"), word(queues(status))]);
    facts.push(vec![word("knocks"), word(status.hits.accepted.to_string())]);
    facts.push(vec![word("leases"), leases(status)]);
    let remarks = status.firewall.remarks.iter();
    facts.extend(
        remarks.map(|remark| vec![word("firewall"), word(shown(remark)).role(Role::Notable)]),
    );
    facts.push(vec![word("hits"), word(hits(status))]);
    if !status.hits.refused.is_empty() {
        facts.push(vec![word("refused"), word(refused(status))]);
    }
    lines(&[], &facts, 2, paint).iter().for_each(|line| out.line(line));
    sources(&status.sources, paint, out);
    agenda(&status.agenda, paint, out);
    failed(&status.failed, paint, out);
}

fn config(status: &Status) -> String {
    let config = shown(&status.config);
    match &status.reloaded {
        Some(time) => format!("{config}, read again {}", shown(time)),
        None => config,
    }
}

fn store(status: &Status) -> Cell {
    match (&status.store.statedir, &status.store.trouble) {
        (_, Some(trouble)) => {
            let text = format!("CANNOT BE WRITTEN, knocks are refused: {}", shown(trouble));
            word(text).role(Role::Bad)
        }
        (Some(statedir), None) => word(shown(statedir)),
        (None, None) => word("none is kept"),
    }
}

fn leases(status: &Status) -> Cell {
    let firewall = &status.firewall;
    if let Some(why) = &firewall.not_compared {
        let text = format!("{}, NOT COMPARED with the firewall: {}", status.leases, shown(why));
        return word(text).role(Role::Bad);
    }
    if let Some(what) = &firewall.trouble {
        let count = status.leases;
        let text = format!("{count}, the firewall is NOT AS LEASES NEED IT: {}", shown(what));
        return word(text).role(Role::Bad);
    }
    let compared = firewall
        .compared_ago_s
        .map(|ago| format!(", compared with the firewall {} ago", span(ago)));
    let right = match firewall.put_right {
        0 => String::new(),
        count => format!(", {count} put right since the start"),
    };
    let way = firewall.way.as_deref().map(|way| format!(", by {}", shown(way)));
    let way = way.unwrap_or_default();
    word(format!("{}{way}{}{right}", status.leases, compared.unwrap_or_default()))
}

fn queues(status: &Status) -> String {
    let queues = &status.queues;
    let clients = if queues.clients == 1 { "client" } else { "clients" };
    let evicted = match queues.evicted {
        0 => String::new(),
        evicted => format!(", {evicted} made room for others"),
    };
    let (clients, number, slots) = (clients, queues.clients, queues.slots);
    format!("{number} {clients} of at most {}, {slots} hits to a knock{evicted}", queues.most)
}

fn hits(status: &Status) -> String {
    let hits = &status.hits;
    format!("{}, {} outside the span, {} repeated", hits.seen, hits.outside_span, hits.repeated)
}

fn refused(status: &Status) -> String {
    let refused = &status.hits.refused;
    let all: u64 = refused.values().fold(0, |sum, count| sum.saturating_add(*count));
    let reasons: Vec<String> =
        refused.iter().map(|(reason, count)| format!("{} {count}", shown(reason))).collect();
    format!("{all} windows: {}", reasons.join(", "))
}

fn sources(sources: &[Source], paint: Paint, out: &mut Printer) {
    let rows: Vec<Vec<Cell>> = sources
        .iter()
        .map(|source| {
            let state = match source.state {
                SourceState::Starting => word("starting"),
                SourceState::Reading => word("reading").role(Role::Good),
                SourceState::Waiting => word("waiting").role(Role::Notable),
                SourceState::Failed => word("FAILED").role(Role::Bad),
            };
            let last = source.last_line_ago_s.map_or("never".to_owned(), |ago| span(ago) + " ago");
            vec![
                word(shown(&source.name)),
                state,
                number(source.lines),
                number(source.hits),
                number(last),
                number(format!("{:.1}", source.lines_per_s)),
            ]
        })
        .collect();
    section("sources", sources.len(), paint, out);
    let heading = ["source", "state", "lines", "hits", "last line", "per second"];
    lines(&heading, &rows, 2, paint).iter().for_each(|line| out.line(line));
    for source in sources {
        if let Some(waiting) = &source.waiting {
            out.line(&format!("  {}", shown(waiting)));
        }
        if let Some(trouble) = &source.trouble {
            let (name, error) = (shown(&source.name), shown(&trouble.error));
            let (times, next) = (trouble.failures, span(trouble.next_try_s));
            out.line(&format!("  {name}: {error} ({times} times, next try in {next})"));
        }
    }
}

fn agenda(agenda: &Agenda, paint: Paint, out: &mut Printer) {
    let running = match agenda.running {
        0 => String::new(),
        running => format!(", {running} running"),
    };
    out.line("");
    let title = format!("agenda ({}{running})", agenda.orders);
    out.line(&paint.text(Role::Strong, &title));
    if agenda.next.is_empty() {
        return;
    }
    let rows: Vec<Vec<Cell>> = agenda
        .next
        .iter()
        .take(SHOWN)
        .map(|order| {
            let due = if order.due_in_s < 0.0 {
                number(span(-order.due_in_s) + " late").role(Role::Notable)
            } else {
                number(span(order.due_in_s))
            };
            vec![
                number(order.id),
                due,
                number(order.failures),
                word(order.client.to_string()),
                word(shown(&order.template)),
                word(shown(&order.command)),
            ]
        })
        .collect();
    let heading = ["id", "due in", "failed", "client", "template", "command"];
    lines(&heading, &rows, 2, paint).iter().for_each(|line| out.line(line));
    let more = agenda.orders.saturating_sub(rows.len());
    if more > 0 {
        out.line(&format!("  … and {more} more; --json lists the first {}", agenda.next.len()));
    }
}

fn failed(failed: &[Failed], paint: Paint, out: &mut Printer) {
    if failed.is_empty() {
        return;
    }
    section("failed", failed.len(), paint, out);
    for one in failed {
        #[allow(clippy::cast_precision_loss, reason = "told to people in two units")]
        let ago = span(one.ago_s as f64);
        let why = paint.text(Role::Bad, &shown(&one.why));
        out.line(&format!("  {ago} ago, {}, {}: {why}", one.client, shown(&one.template)));
        out.line(&format!("    {}", shown(&one.command)));
        out.line(&format!("    {}", shown(&one.fate)));
    }
}

fn section(title: &str, count: usize, paint: Paint, out: &mut Printer) {
    out.line("");
    out.line(&paint.text(Role::Strong, &format!("{title} ({count})")));
}

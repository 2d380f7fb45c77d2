//! The commands that speak to the running daemon: find its socket, ask, and show what it answers.
//! What is true is the daemon's to say; nothing is worked out here.

mod compared;
mod leases;
mod status;
mod table;

use std::path::{Path, PathBuf};

use knock_config::{ControlSettings, SourceText, find_control};

use crate::control::client;
use crate::control::protocol::{Answer, Code, Refused, Request, Which};
use crate::exit::Exit;
use crate::shown::escaped;

use super::args::{Common, ExtendArgs, RevokeArgs, SocketArgs};
use super::load;
use super::output::{self, Printer};
use super::paint::Paint;

/// `status`.
pub(crate) fn status(common: &Common, args: &SocketArgs) -> Exit {
    asked(common, args, &Request::Status {}, |answer, out| match answer {
        Answer::Status(status) => {
            status::show(status, Paint::of_stdout(), out);
            Shown::Yes
        }
        _ => Shown::No,
    })
}

/// `leases`.
pub(crate) fn leases(common: &Common, args: &SocketArgs) -> Exit {
    asked(common, args, &Request::Leases {}, |answer, out| match answer {
        Answer::Leases(leases) => {
            leases::show(leases, Paint::of_stdout(), out);
            Shown::Yes
        }
        _ => Shown::No,
    })
}

/// `revoke`.
pub(crate) fn revoke(common: &Common, args: &RevokeArgs) -> Exit {
    let which = match (args.all, args.client) {
        (true, _) => Which::All,
        (false, Some(client)) => Which::Client(client),
        (false, None) => Which::Ids(args.ids.clone()),
    };
    asked(common, &args.socket, &Request::Revoke { which }, |answer, out| match answer {
        Answer::Revoked(revoked) => {
            if !common.quiet {
                leases::revoked(revoked, Paint::of_stdout(), out);
            }
            if revoked.unknown.is_empty() { Shown::Yes } else { Shown::InPart }
        }
        _ => Shown::No,
    })
}

/// `extend`.
pub(crate) fn extend(common: &Common, args: &ExtendArgs) -> Exit {
    let request = Request::Extend { id: args.id, by_s: args.time.as_secs() };
    asked(common, &args.socket, &request, |answer, out| match answer {
        Answer::Extended(lease) => {
            if !common.quiet {
                leases::extended(lease, Paint::of_stdout(), out);
            }
            Shown::Yes
        }
        _ => Shown::No,
    })
}

/// `reload`.
pub(crate) fn reload(common: &Common, args: &SocketArgs) -> Exit {
    asked(common, args, &Request::Reload {}, |answer, out| match answer {
        Answer::Reloaded(reloaded) => {
            report(&reloaded.report);
            if !common.quiet {
                out.line(&format!("{} is in force", shown(&reloaded.config)));
                if reloaded.firewall.comparing {
                    out.line("the firewall is still being compared with the leases; see 'leases'");
                }
            }
            if let Some(warning) = compared::warning(&reloaded.firewall) {
                output::report(&warning);
            }
            Shown::Yes
        }
        _ => Shown::No,
    })
}

/// Whether an answer is one to the question.
enum Shown {
    Yes,
    /// Some of what was asked for is not there.
    InPart,
    No,
}

/// Asks and shows the answer.
fn asked(
    common: &Common,
    args: &SocketArgs,
    request: &Request,
    show: impl FnOnce(&Answer, &mut Printer) -> Shown,
) -> Exit {
    let socket = match socket(common, args) {
        Ok(socket) => socket,
        Err(exit) => return exit,
    };
    let answer = match client::ask(&socket, request) {
        Ok(answer) => answer,
        Err(error) => {
            output::error(&error.to_string());
            return error.exit();
        }
    };
    let mut out = Printer::new();
    if args.json {
        match serde_json::to_string(&answer) {
            Ok(text) => out.line(&text),
            Err(error) => output::error(&error.to_string()),
        }
    }
    if let Answer::Refused(refused) = &answer {
        if !args.json {
            tell_refusal(refused);
        }
        let _written = out.finish();
        return exit_of(refused.code);
    }
    if args.json {
        let in_part = matches!(&answer, Answer::Revoked(revoked) if !revoked.unknown.is_empty());
        return out.finish().or(if in_part { Exit::Problems } else { Exit::Ok });
    }
    match show(&answer, &mut out) {
        Shown::Yes => out.finish(),
        Shown::InPart => out.finish().or(Exit::Problems),
        Shown::No => {
            output::error("the daemon answered another question; is it of another version?");
            Exit::NoAnswer
        }
    }
}

fn tell_refusal(refused: &Refused) {
    report(&refused.report);
    output::error(&shown(&refused.message));
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::Permission => Exit::Permission,
        Code::Busy => Exit::NoAnswer,
        Code::Store | Code::Unreadable => Exit::Input,
        Code::Request | Code::NotFound | Code::Lease | Code::Config => Exit::Problems,
    }
}

/// Where the daemon answers: as told, by its configuration, or in the usual place. Who is not allowed
/// to read the configuration may be allowed to ask all the same.
fn socket(common: &Common, args: &SocketArgs) -> Result<PathBuf, Exit> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let none = |path: &Path| {
        let path = path.display();
        output::error(&format!("{path}: 'controlsocket = no': its daemon cannot be asked"));
        Err(Exit::NotRunning)
    };
    if let Some(path) = &common.conf {
        let source = SourceText::read(path).map_err(|error| load::unreadable(path, &error))?;
        return find_control(&source).map_or_else(|| none(path), Ok);
    }
    let found = load::search().ok();
    match found.and_then(|path| SourceText::read(&path).ok()) {
        Some(source) => find_control(&source).map_or_else(|| none(&source.path), Ok),
        None => ControlSettings::default().socket.ok_or(Exit::NotRunning),
    }
}

/// Problems of a configuration, as the daemon reports them.
fn report(text: &str) {
    if !text.is_empty() {
        let lines: Vec<String> = text.lines().map(shown).collect();
        output::report(&lines.join("\n"));
    }
}

/// A text of the daemon's, safe to print on a terminal.
fn shown(text: &str) -> String {
    escaped(text.as_bytes())
}

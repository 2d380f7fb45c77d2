//! What the loop answers at the control socket. Who may ask has been judged before.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use knock_actions::group_id;
use knock_config::ControlSettings;
use knock_engine::LeaseId;

use crate::cli::firewall::of_choice;
use crate::control::ControlError;
use crate::control::protocol::{Answer, Code, Refused, Reloaded, Request};
use crate::control::server::{Asked, ControlSocket, Reply};

use super::event::Event;
use super::{Daemon, Mode, NewSettings};

/// Opens the control socket. Without one the daemon runs all the same: a port must close whether or not
/// anybody can ask.
pub(super) fn listen(
    settings: &ControlSettings,
    mode: Mode,
    inbox: &SyncSender<Event>,
) -> Option<ControlSocket> {
    let path = settings.socket.as_deref()?;
    // Nothing of it is to be left on disk, and the name is the real daemon's.
    if mode == Mode::DryRun && !settings.is_wanted {
        return None;
    }
    let opened = || {
        let group = settings.group.as_deref().map(group_id).transpose();
        // Unknown: then root and the daemon's own user have it for themselves.
        let (group, unknown) = match group {
            Ok(group) => (group, None),
            Err(error) => (None, Some(ControlError::Group(error))),
        };
        let socket = ControlSocket::listen(path, group)?;
        let inbox = inbox.clone();
        let served = socket.serve(move |asked| inbox.send(Event::Asked(Box::new(asked))).is_ok());
        served.map_err(ControlError::failed(path, "start a thread for"))?;
        if let Some(unknown) = unknown {
            tracing::error!("{unknown}");
        }
        Ok(socket)
    };
    match opened() {
        Ok(socket) => {
            tracing::debug!("status and its like are answered at {}", socket.path().display());
            Some(socket)
        }
        Err::<_, ControlError>(error) if settings.is_wanted => {
            tracing::error!("no control socket, so 'knockdaemon status' finds nobody: {error}");
            None
        }
        Err(error) => {
            tracing::info!("no control socket, so 'knockdaemon status' finds nobody: {error}");
            None
        }
    }
}

impl Daemon {
    /// Answers, or sees to it that it will be.
    pub(super) fn asked(&mut self, asked: Asked) {
        let Asked { request, by, reply } = asked;
        match request {
            Request::Status {} => reply.send(Answer::Status(Box::new(self.status()))),
            Request::Leases {} => reply.send(Answer::Leases(self.list_leases())),
            Request::Revoke { which } => reply.send(self.revoke(&which, by)),
            Request::Extend { id, by_s } => {
                reply.send(self.extend(LeaseId(id), Duration::from_secs(by_s), by));
            }
            Request::Reload {} => {
                tracing::info!(uid = by.uid, "told to read the configuration again");
                self.start_reload(Some(reply));
            }
        }
    }

    /// Reads the configuration beside the loop; who asked is answered when it is in force, or not.
    pub(super) fn start_reload(&mut self, reply: Option<Reply>) {
        let now = self.clock.now();
        self.service.reloading(now.uptime, self.clock.monotonic());
        self.rereading.start(reply);
    }

    /// It has been read.
    pub(super) fn reread(&mut self, read: NewSettings) {
        let answer = self.take_over(read);
        for reply in self.rereading.ended() {
            reply.send(answer.clone());
        }
        self.service.reloaded(self.clock.now().uptime);
    }

    fn take_over(&mut self, read: NewSettings) -> Answer {
        let NewSettings { settings, report } = read;
        let config = self.config.display().to_string();
        let Some(settings) = settings else {
            tracing::error!(
                "the new configuration has mistakes; the running one stays. `knockdaemon check` shows them"
            );
            let message = format!("{config} has mistakes; the running configuration stays");
            return Answer::Refused(Refused { code: Code::Config, message, report });
        };
        // Without a way that works nothing could be closed any more, either.
        let needs_it = settings.plan.actions.iter().any(|action| action.lease.is_some())
            || self.engine.leases().next().is_some();
        if let Some(gate) = self.respond.gate()
            && needs_it
            && let Err(error) = gate.probe(of_choice(settings.firewall))
        {
            let message = format!(
                "{config}: 'firewall' cannot be what it is there; the running configuration stays: \
                 {error}"
            );
            tracing::error!("{message}");
            return Answer::Refused(Refused { code: Code::Config, message, report });
        }
        self.reload(settings);
        self.reloaded = Some(self.clock.now().wall);
        Answer::Reloaded(Reloaded { config, report })
    }
}

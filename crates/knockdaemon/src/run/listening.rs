//! The control socket while the daemon lives: opened at the start, and tried again where it could not be had.
//! Without one the daemon runs all the same: a port must close whether or not anybody can ask.

use std::sync::mpsc::SyncSender;

use knock_actions::group_id;
use knock_config::ControlSettings;

use crate::control::ControlError;
use crate::control::server::{ControlSocket, Members};

use super::Mode;
use super::event::Event;

/// Where the daemon can be asked, or would like to be.
pub(super) struct Listening {
    settings: ControlSettings,
    /// Looked up once: a directory that does not answer must not hold up the loop.
    members: Members,
    inbox: SyncSender<Event>,
    is_meant: bool,
    socket: Option<ControlSocket>,
    /// Why there is none, as it was told.
    told: Option<String>,
}

impl Listening {
    /// Opens the socket, if there is to be one.
    pub(super) fn start(settings: ControlSettings, mode: Mode, inbox: SyncSender<Event>) -> Self {
        // With `-test` nothing is to be left on disk, and the usual name is the real daemon's.
        let is_meant = settings.socket.is_some() && (mode == Mode::Respond || settings.is_wanted);
        let members = match settings.group.as_deref().filter(|_| is_meant).map(group_id) {
            None => Members::OwnGroup,
            Some(Ok(group)) => Members::Group(group),
            Some(Err(error)) => {
                tracing::error!("{}", ControlError::Group(error));
                Members::Nobody
            }
        };
        let mut new = Self { settings, members, inbox, is_meant, socket: None, told: None };
        new.try_again();
        new
    }

    /// What the configuration said of it at the start.
    pub(super) fn settings(&self) -> &ControlSettings {
        &self.settings
    }

    /// Where there is none and should be one. Called when something else wakes the loop up anyway.
    pub(super) fn try_again(&mut self) {
        if self.socket.is_some() || !self.is_meant {
            return;
        }
        match self.open() {
            Ok(socket) => self.socket = socket,
            Err(error) => {
                let told = error.to_string();
                if self.told.as_ref() == Some(&told) {
                    return;
                }
                let text = format!(
                    "no control socket, so 'knockdaemon status' finds nobody: {told}; it is tried again \
                     on SIGHUP, and when leases are compared with the firewall"
                );
                if self.settings.is_wanted {
                    tracing::error!("{text}");
                } else {
                    tracing::info!("{text}");
                }
                self.told = Some(told);
            }
        }
    }

    /// Nobody can ask from now on.
    pub(super) fn close(&mut self) {
        self.is_meant = false;
        self.socket = None;
    }

    fn open(&self) -> Result<Option<ControlSocket>, ControlError> {
        let Some(path) = self.settings.socket.as_deref() else { return Ok(None) };
        let socket = ControlSocket::listen(path, self.members)?;
        let inbox = self.inbox.clone();
        let served = socket.serve(move |asked| inbox.send(Event::Asked(Box::new(asked))).is_ok());
        served.map_err(ControlError::failed(path, "start a thread for"))?;
        match self.told {
            None => tracing::debug!("status and its like are answered at {}", path.display()),
            Some(_) => {
                tracing::info!("status and its like are answered now, at {}", path.display())
            }
        }
        Ok(Some(socket))
    }
}

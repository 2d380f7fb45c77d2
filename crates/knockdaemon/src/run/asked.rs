//! What the loop answers at the control socket. Who may ask has been judged before.

use std::time::Duration;

use knock_engine::LeaseId;

use crate::control::protocol::{Answer, Request};
use crate::control::server::Asked;

use super::Daemon;

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
}

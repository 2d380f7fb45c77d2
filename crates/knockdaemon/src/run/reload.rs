//! SIGHUP: the configuration is read again; a broken one leaves the running one in force.

use knock_config::DaemonSettings;

/// Reads the configuration anew and reports its problems; `None` when it has errors.
pub(crate) type Reread = Box<dyn Fn() -> Option<DaemonSettings>>;

/// The new settings, or `None` with the reason logged.
pub(crate) fn read(reread: &Reread) -> Option<DaemonSettings> {
    let settings = reread();
    if settings.is_none() {
        tracing::error!(
            "the new configuration has mistakes; the running one stays. `knockdaemon check` shows them"
        );
    }
    settings
}

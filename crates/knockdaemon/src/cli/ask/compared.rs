//! What people are told of the comparison of leases with the firewall, where something is in its way.

use crate::control::protocol::Firewall;

use super::shown;

/// Why the leases may not be what is open, and what is done about it; nothing if all is well.
pub(super) fn warning(firewall: &Firewall) -> Option<String> {
    if let Some(why) = &firewall.not_compared {
        return Some(format!(
            "leases are NOT COMPARED with the firewall: {}\n  what leases say is open may be shut, and \
             more may be open; it is tried again every 10 s, and on 'knockdaemon reload'",
            shown(why)
        ));
    }
    firewall.trouble.as_ref().map(|what| {
        format!(
            "the firewall is NOT AS LEASES NEED IT: {}\n  what leases say is open may be shut; it is \
             tried again each minute, and on 'knockdaemon reload'",
            shown(what)
        )
    })
}

//! Namespaces of the test's own, for the tests in `src` and those in `tests`.

use std::process::Command;

const INSIDE: &str = "KNOCK_FIREWALL_TEST_INSIDE";

/// Runs the test with this full name again under `unshare` with these options; it finds the level there.
pub(crate) fn again_inside(name: &str, level: &str, options: &str) {
    let output = Command::new("unshare")
        .args(options.split_whitespace())
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--include-ignored", "--nocapture"])
        .env(INSIDE, level)
        // iptables-legacy's lock is root's, and there it is not.
        .env("XTABLES_LOCKFILE", "/dev/null")
        .output()
        .unwrap_or_else(|error| panic!("unshare (package util-linux): {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "the part in 'unshare {options}' failed; if it was not even allowed, user namespaces are \
         switched off (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns):\n{said}"
    );
}

/// How far down this process is; `None`: where the tests were started.
pub(crate) fn level() -> Option<String> {
    std::env::var(INSIDE).ok()
}

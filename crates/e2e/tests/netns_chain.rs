//! The whole chain on real packets: SYNs through the kernel's LOG target, a log, the daemon, and a
//! real port that opens and closes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{ACTIONS, Log, Setup};
use knock_e2e::firewall::{self, Backend};
use knock_e2e::lab::{Host, Lab};
use knock_e2e::probe;

fn opens_and_closes(log: Log, backend: Backend) {
    let setup = Setup::classic(log, backend);
    let client = setup.lab.client();
    assert!(!setup.is_open(client), "open before the knock");

    setup.knock_and_get_in(client, &["-port", "22", "-time", "1"]);
    assert!(!setup.is_open(setup.lab.second_client()), "open for one who did not knock");

    setup.await_closed(client);
    assert_eq!(setup.rules_for(client), 0);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_opens_for_its_time_from_a_file_by_rsyslog_with_iptables_nft() {
    opens_and_closes(Log::Rsyslog, Backend::Nft);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_opens_for_its_time_from_a_file_by_rsyslog_with_iptables_legacy() {
    opens_and_closes(Log::Rsyslog, Backend::Legacy);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_opens_for_its_time_from_kmsg_with_iptables_nft() {
    opens_and_closes(Log::Kmsg, Backend::Nft);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_knock_opens_for_its_time_from_kmsg_with_iptables_legacy() {
    opens_and_closes(Log::Kmsg, Backend::Legacy);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_second_knock_closes_and_repeated_knocks_make_one_rule() {
    let setup = Setup::classic(Log::Kmsg, Backend::Nft);
    let client = setup.lab.client();
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(client);
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.daemon.await_line("already so").unwrap();
    assert_eq!(setup.rules_for(client), 1, "a repeated knock piles up rules");

    setup.knock(&["-port", "22", "-time", "255"]);
    setup.await_closed(client);
    assert_eq!(setup.rules_for(client), 0);
}

/// A knock that must not open, told from the log of the daemon's decisions.
fn opens_nothing(fields: &[&str], why: &str) {
    let setup = Setup::classic(Log::Kmsg, Backend::Nft);
    setup.knock(fields);
    setup.daemon.await_line(why).unwrap();
    assert!(!setup.is_open(setup.lab.client()));
    assert_eq!(setup.rules_for(setup.lab.client()), 0);

    // The door itself works: the same setup opens for the right knock.
    setup.knock(&["-port", "22", "-time", "0"]);
    setup.await_open(setup.lab.client());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_wrong_key_opens_nothing() {
    opens_nothing(
        &["-port", "22", "-time", "0", "-key", "open barley"],
        "window refused (padding)",
    );
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_wrong_address_opens_nothing() {
    // The later -client wins: the knock speaks of somebody else than its packets.
    opens_nothing(
        &["-port", "22", "-time", "0", "-client", "192.0.2.7"],
        "window refused (address)",
    );
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_wrong_checksum_opens_nothing() {
    // The eighth plaintext byte of the right length, with a value of our own instead of the sum.
    let fields = ["-knock", "IP,PORT,TIME,FLAG0", "-flag0", "7", "-port", "22", "-time", "0"];
    opens_nothing(&fields, "window refused (checksum)");
}

#[test]
#[ignore = "needs root: sudo make test"]
fn two_clients_that_knock_at_the_same_time_both_get_in() {
    let setup = Setup::classic(Log::Rsyslog, Backend::Nft);
    let (one, two) = (setup.lab.client(), setup.lab.second_client());
    let of_one = setup.ports(one, &["-port", "22", "-time", "0"]);
    let of_two = setup.ports(two, &["-port", "22", "-time", "0"]);
    for (port_of_one, port_of_two) in of_one.iter().zip(&of_two) {
        probe::send_syn(&setup.lab, one, setup.lab.server(), *port_of_one).unwrap();
        probe::send_syn(&setup.lab, two, setup.lab.server(), *port_of_two).unwrap();
    }
    setup.await_open(one);
    setup.await_open(two);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn noise_inside_and_outside_the_span_does_not_spoil_a_knock() {
    let setup = Setup::classic(Log::Rsyslog, Backend::Nft);
    let (client, server) = (setup.lab.client(), setup.lab.server());
    for inside in [745, 800, 1000, 800, 901] {
        probe::send_syn(&setup.lab, client, server, inside).unwrap();
    }
    for (index, port) in setup.ports(client, &["-port", "22", "-time", "0"]).iter().enumerate() {
        let outside = 5000 + u16::try_from(index).unwrap();
        probe::send_syn(&setup.lab, client, server, outside).unwrap();
        probe::send_syn(&setup.lab, client, server, *port).unwrap();
    }
    setup.await_open(client);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn an_ipv6_client_opens_with_a_format_that_fits() {
    let knock = "knock = IP6,PORT16,TIME,CHECKSUM";
    let setup = Setup::with(Log::Kmsg, Backend::Nft, knock, ACTIONS);
    let client = setup.lab.client6();
    setup.knock_and_get_in(client, &["-port", "22", "-time", "1"]);
    setup.await_closed(client);
}

#[test]
#[ignore = "needs root: sudo make test"]
fn a_format_without_an_address_serves_both_families() {
    let setup = Setup::with(Log::Rsyslog, Backend::Legacy, "knock = PORT,TIME,CHECKSUM", ACTIONS);
    for client in [setup.lab.client(), setup.lab.client6()] {
        setup.knock_from(client, &["-port", "22", "-time", "0"]);
        setup.await_open(client);
        assert_eq!(setup.rules_for(client), 1);
    }
}

#[test]
#[ignore = "needs root: sudo make test"]
fn nftables_own_log_and_a_set_whose_elements_the_kernel_drops() {
    let lab = Lab::new().unwrap();
    firewall::close_with_nft(&lab, "portknock ").unwrap();
    lab.on(Host::Server, "nft add set inet filter knocked { type ipv4_addr; flags timeout; }")
        .unwrap();
    lab.on(Host::Server, "nft insert rule inet filter input ip saddr @knocked tcp dport 22 accept")
        .unwrap();
    let actions = "
<actions>
  <action>
    condition = PORT == 22
    template  = open
  </action>
  <template open>
    exec = nft
    exec = \"add element inet filter knocked { IP }; delete element inet filter knocked { IP }; add element inet filter knocked { IP timeout %TIME%s }\"
  </template>
</actions>
";
    let setup = Setup::on(lab, Log::Kmsg, Backend::Nft, "knock = IP,PORT,TIME,CHECKSUM", actions);
    setup.knock_and_get_in(setup.lab.client(), &["-port", "22", "-time", "4"]);
    setup.await_closed(setup.lab.client());
}

#[test]
#[ignore = "needs root: sudo make test"]
fn shell_templates_of_an_old_config_run_with_values_and_environment() {
    let actions = "
<actions>
  <action>
    condition = PORT == 22
    template  = open
    use       = yes
  </action>
  <action>
    condition = PORT == 22
    template  = note
    use       = yes
  </action>
  <template open>
    system = \"/sbin/iptables -I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT\"
  </template>
  <template note>
    system = echo IP PORT %TIME% $KNOCK_IP > NOTE
  </template>
</actions>
";
    let lab = Lab::new().unwrap();
    firewall::close(&lab, Backend::Nft, "portknock").unwrap();
    let note = lab.path("note");
    let actions = actions.replace("NOTE", &note.display().to_string());
    let setup = Setup::on(lab, Log::Kmsg, Backend::Nft, "knock = IP,PORT,TIME,CHECKSUM", &actions);
    setup.knock(&["-port", "22", "-time", "9"]);
    setup.await_open(setup.lab.client());
    setup.daemon.await_line("done: echo").unwrap();
    let client = setup.lab.client();
    assert_eq!(std::fs::read_to_string(note).unwrap(), format!("{client} 22 9 {client}\n"));
}

//! Leases of clients that share a network, as stories: each has its own, and what is open ends with the
//! last. `script/mod.rs` and `script/leases.rs` tell how to read them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod script;

use script::check;

const NETWORKS: &str = "
    maxlease 4h
    action ssh if TIME != 255 opens PORT for TIME prefix 24
    action shut if TIME == 255 shuts PORT
";

/// Clients behind one carrier NAT share an opening. It lasts as long as the longest of their leases,
/// however often the others knock.
#[test]
fn who_shares_a_network_cuts_nobody_short() {
    check(
        NETWORKS,
        "at 0s knock 10.0.0.1 PORT=22 TIME=9 -> accepted grants 1:22/10.0.0.0/24@9m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.0/24@9m
         at 1m knock 10.0.0.2 PORT=22 TIME=1 -> accepted grants 3:22/10.0.0.0/24@2m opening
         at 1m due -> open/22 10.0.0.1
         at 1m show open/22 10.0.0.1 -> open tcp port 22 to 10.0.0.0/24 before 9m
         at 1m already open/22 10.0.0.1 -> 3:22/10.0.0.0/24@2m
         at 1m knock 10.0.0.2 PORT=22 TIME=2 -> accepted renews 3:22/10.0.0.0/24@3m
         at 1m due -> nothing
         at 3m due -> open/22 10.0.0.1
         at 3m already open/22 10.0.0.1 -> 3 is closed
         at 3m next -> 9m
         at 9m due -> close/22 10.0.0.1
         at 9m done close/22 10.0.0.1 -> 1 is closed
         at 9m next -> nothing",
    );
    // The firewall's own clock goes by the one that is left.
    check(
        NETWORKS,
        "at 0s knock 10.0.0.1 PORT=22 TIME=9 -> accepted grants 1:22/10.0.0.0/24@9m opening
         at 0s knock 10.0.0.2 PORT=22 TIME=5 -> accepted grants 2:22/10.0.0.0/24@5m opening
         at 0s due -> open/22 10.0.0.1
         at 0s done open/22 10.0.0.1 -> 1:22/10.0.0.0/24@9m, 2:22/10.0.0.0/24@5m
         at 1m revoke 1 -> ends
         at 1m due -> open/22 10.0.0.2
         at 1m show open/22 10.0.0.2 -> open tcp port 22 to 10.0.0.0/24 before 5m
         at 1m restart
         at 1m due -> open/22 10.0.0.2
         at 1m done open/22 10.0.0.2 -> 1 is closed
         at 5m due -> close/22 10.0.0.2
         at 5m knock 10.0.0.3 PORT=22 TIME=1 -> accepted grants 5:22/10.0.0.0/24@6m opening
         at 5m done close/22 10.0.0.2 -> nothing
         at 5m due -> open/22 10.0.0.3
         at 5m done open/22 10.0.0.3 -> 2 is closed, 5:22/10.0.0.0/24@6m",
    );
}

/// With a knock that closes everybody ends their own; whoever has another address by now, all of it.
#[test]
fn a_close_knock_ends_ones_own_lease_in_a_network() {
    check(
        NETWORKS,
        "at 0s knock 10.0.0.1 PORT=22 TIME=9 -> accepted grants 1:22/10.0.0.0/24@9m opening
         at 0s knock 10.0.0.2 PORT=22 TIME=9 -> accepted grants 2:22/10.0.0.0/24@9m opening
         at 0s due -> open/22 10.0.0.2
         at 0s done open/22 10.0.0.2 -> 1:22/10.0.0.0/24@9m, 2:22/10.0.0.0/24@9m
         at 1m knock 10.0.0.2 PORT=22 TIME=255 -> accepted ends 2
         at 1m due -> open/22 10.0.0.1
         at 1m already open/22 10.0.0.1 -> 2 is closed
         at 2m knock 10.0.0.77 PORT=22 TIME=255 -> accepted ends 1
         at 2m due -> close/22 10.0.0.1",
    );
}

/// Where the knock says who it is, also from another address only one's own: a script that closes behind
/// a session whose lease is over shuts nobody else out.
#[test]
fn a_close_knock_of_a_known_user_ends_no_lease_of_another() {
    let users = format!("knock IP,PORT,TIME,FLAG0,CHECKSUM\nonelease FLAG0\n{NETWORKS}");
    check(
        &users,
        "at 0s knock 10.0.0.1 PORT=22 TIME=9 FLAG0=1 -> accepted grants 1:22/10.0.0.0/24@9m of 1 opening
         at 0s knock 10.0.0.2 PORT=22 TIME=9 FLAG0=2 -> accepted grants 2:22/10.0.0.0/24@9m of 2 opening
         at 0s due -> open/22 10.0.0.2
         at 0s done open/22 10.0.0.2 -> 1:22/10.0.0.0/24@9m of 1, 2:22/10.0.0.0/24@9m of 2
         at 1m knock 10.0.0.2 PORT=22 TIME=255 FLAG0=3 -> accepted 22 is not open
         at 1m knock 10.0.0.77 PORT=22 TIME=255 FLAG0=1 -> accepted ends 1
         at 1m due -> open/22 10.0.0.2
         at 1m already open/22 10.0.0.2 -> 1 is closed
         at 2m knock 10.0.0.77 PORT=22 TIME=255 FLAG0=1 -> accepted 22 is not open",
    );
    // What was granted before users were told apart is ended by whoever is in its network.
    check(
        &format!("knock IP,PORT,TIME,FLAG0,CHECKSUM\n{NETWORKS}"),
        "at 0s knock 10.0.0.1 PORT=22 TIME=9 FLAG0=1 -> accepted grants 1:22/10.0.0.0/24@9m opening
         at 1m reload onelease FLAG0
         at 1m knock 10.0.0.1 PORT=22 TIME=255 FLAG0=1 -> accepted ends 1",
    );
}

/// Whose lease it is, and that a session keeps it, is not changed by a neighbour's knock.
#[test]
fn neighbours_do_not_take_leases_over() {
    check(
        "knock IP,PORT,TIME,FLAG0,CHECKSUM
         onelease FLAG0
         maxlease 4h
         action ssh if TIME == 0 opens PORT for 30s hold prefix 24
         action short if TIME != 0 opens PORT for TIME prefix 24",
        "at 0s knock 10.0.0.1 PORT=22 TIME=0 FLAG0=1 -> accepted grants 1:22/10.0.0.0/24@30s step 30s of 1 opening
         at 0s knock 10.0.0.2 PORT=22 TIME=1 FLAG0=2 -> accepted grants 2:22/10.0.0.0/24@1m of 2 opening
         at 0s due -> open/22 10.0.0.2
         at 0s done open/22 10.0.0.2 -> 1:22/10.0.0.0/24@30s step 30s of 1, 2:22/10.0.0.0/24@1m of 2
         at 25s due -> ask/22 10.0.0.2
         at 25s connected 1 ask/22 10.0.0.2 -> 1:22/10.0.0.0/24@55s step 30s of 1
         at 25s due -> nothing
         at 26s knock 10.0.9.2 PORT=22 TIME=1 FLAG0=2 -> accepted leaves 2 grants 5:22/10.0.9.0/24@86s of 2 opening
         at 26s leases -> 1:22/10.0.0.0/24@55s step 30s of 1, 2:22/10.0.0.0/24@1m of 2 closing, 5:22/10.0.9.0/24@86s of 2 opening
         at 27s knock 10.0.9.1 PORT=22 TIME=1 FLAG0=1 -> accepted leaves 1 grants 6:22/10.0.9.0/24@87s of 1 opening",
    );
}

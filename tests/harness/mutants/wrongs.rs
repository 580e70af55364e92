//! Each thing that is wrong in one mutant: in which file of the pipeline, what stands there, and what instead.

use super::Mutant;

/// All that are tried; the first changes nothing, and nobody may object to it.
pub const ALL: [Mutant; 44] = [
    mutant(
        "nothing",
        "lib.rs",
        "found.settle(world);",
        "found.settle(world);",
    ),
    mutant(
        "checksum off by one",
        "checksum.rs",
        "!fold(!check as u32 + delta as u32)",
        "!fold(!check as u32 + delta as u32 + 1)",
    ),
    mutant(
        "ttl kept",
        "family.rs",
        "header.ttl.wrapping_sub(1)",
        "header.ttl.wrapping_sub(0)",
    ),
    mutant(
        "undo left out",
        "proof.rs",
        "if inserted {",
        "if inserted && false {",
    ),
    mutant(
        "undo of a new flow left out",
        "snat.rs",
        "world.forget(&backend_key);\n            refusal",
        "refusal",
    ),
    mutant(
        "everybody's turn is the first",
        "schedule.rs",
        "_ => world.turn(listening.route)",
        "_ => world.turn(listening.route) & 0",
    ),
    mutant("any ack is proof", "proof.rs", "== other.proof", ">= 1"),
    mutant(
        "own source accepted",
        "classify.rs",
        "from.flags & Address::OWN != 0",
        "from.flags & Address::OWN > 1",
    ),
    mutant(
        "peers are clients",
        "classify.rs",
        "ends.0 & Ends::FROM_PEER != 0 && route",
        "ends.0 & Ends::FROM_PEER > 1 && route",
    ),
    mutant(
        "udp without a sum gets one",
        "checksum.rs",
        "if optional && check == 0",
        "if optional && check == 1",
    ),
    mutant(
        "a refusal leaves the embryo",
        "flow.rs",
        "parsed.flags & tcp::RST != 0",
        "parsed.flags & tcp::RST > 4",
    ),
    mutant(
        "one idle half ends the flow",
        "lifetime.rs",
        "idle < limit || age",
        "idle < limit && age",
    ),
    mutant(
        "the answer's sum is not turned back",
        "pair.rs",
        "checksum::negate(rewrite.port_delta)",
        "rewrite.port_delta",
    ),
    mutant(
        "ephemeral ports are taken",
        "ports.rs",
        "let usable = self.keeps_port\n",
        "let usable = true\n",
    ),
    mutant(
        "an error's sum forgets the quote's",
        "icmp.rs",
        "checksum::add(ports, inner)",
        "ports",
    ),
    mutant(
        "fragments of one number are one packet",
        "fragment.rs",
        "source: network.source,\n        destination: network.destination,\n        id: network.id",
        "source: network.destination,\n        destination: network.destination,\n        id: network.id",
    ),
    mutant(
        "later fragments get ports",
        "rewrite.rs",
        "parsed.part == Part::Later",
        "parsed.part == Part::Later && parsed.ttl == 0",
    ),
    mutant(
        "a refusal is the client's",
        "redispatch.rs",
        "if !allowed::<F, W>(world, &embryo) {",
        "if true {",
    ),
    mutant(
        "the failed backend gets it again",
        "schedule.rs",
        "if id == self.failed ||",
        "if id == 0 ||",
    ),
    mutant(
        "the walk through the ports stands still",
        "ports.rs",
        "self.place = place + self.stride",
        "self.place = place",
    ),
    mutant(
        "one answer more than a tick has",
        "answer.rs",
        "answers.spent >= limit",
        "answers.spent > limit",
    ),
    mutant(
        "a reset acknowledges no octets",
        "answer.rs",
        "sequence.wrapping_add(octets)",
        "sequence",
    ),
    mutant(
        "a reset is answered",
        "answer.rs",
        "segment.flags & tcp::RST == 0",
        "segment.flags & tcp::RST < 8",
    ),
    mutant(
        "an answer's sum leaves out the quote",
        "answer.rs",
        "checksum::fold(head + quoted)",
        "checksum::fold(head + quoted * 0)",
    ),
    mutant(
        "nobody is denied",
        "admission.rs",
        "world.access(&client, !denies_rest as u32) == 0",
        "world.access(&client, !denies_rest as u32) > 1",
    ),
    mutant(
        "a share is one too many",
        "admission.rs",
        "source.flows() >= settings.flows_per_source",
        "source.flows() > settings.flows_per_source",
    ),
    mutant(
        "a closed flow still loads its backend",
        "lifetime.rs",
        "if closed(flow.flags | marks, other.flags) &&",
        "if false && closed(flow.flags | marks, other.flags) &&",
    ),
    mutant(
        "a preserved answer is none of ours",
        "classify.rs",
        "Settings::PRESERVES != 0",
        "Settings::PRESERVES > 1",
    ),
    mutant(
        "box sources from anywhere",
        "classify.rs",
        "(interface == world.interface()) == here",
        "(interface != world.interface()) == here",
    ),
    mutant(
        "nobody's port may be asked by anybody",
        "classify.rs",
        "Err(reason) => reason,\n        Ok(_) if refuses",
        "Err(_) => return Reason::NotOurs,\n        Ok(_) if refuses",
    ),
    mutant(
        "nobody's first fragment is forgotten",
        "lib.rs",
        "parsed.part == Part::Whole &&",
        "parsed.part != Part::Later &&",
    ),
    mutant("mute backends", "flow.rs", "Answers, key", "Listens, key"),
    mutant(
        "a mapping depends on the other end",
        "mapping.rs",
        "port: key.source_port",
        "port: key.destination_port",
    ),
    mutant(
        "anybody answers a mapping",
        "mapping.rs",
        "_ => false",
        "_ => true",
    ),
    mutant(
        "classes of ports are one",
        "pool.rs",
        "(_, true) => (0, PRIVILEGED as u32 / BITS)",
        "(_, true) => (PRIVILEGED as u32 / BITS, PORT_WORDS)",
    ),
    mutant(
        "what leaks, leaks",
        "guard.rs",
        "=> Reason::LeakPrevented",
        "=> reason",
    ),
    mutant(
        "icmp's sum follows addresses",
        "rewrite.rs",
        "if protocol == ICMP {\n            0",
        "if protocol == 0 {\n            0",
    ),
    mutant(
        "a flow picked up is never proved",
        "proof.rs",
        "PICKED_UP != 0",
        "PICKED_UP > 128",
    ),
    mutant(
        "a half alone is in its own way",
        "nat.rs",
        " && !snat::stands::<F, W>(world, &back, key)",
        "",
    ),
    mutant(
        "a half alone is another's",
        "snat.rs",
        "if stands::<F, W>(world, key, &backend_key)",
        "if false",
    ),
    mutant(
        "a stranger is translated",
        "nat.rs",
        "if opening.ends.is_stranger()",
        "if false",
    ),
    mutant(
        "a router loses its name",
        "icmp.rs",
        "if flow.rewrite.source == quote.network.destination",
        "if false",
    ),
    mutant(
        "denied hosts leave",
        "nat.rs",
        "if flags & Nat::<F::Address>::GUARDED != 0",
        "if false && flags & Nat::<F::Address>::GUARDED != 0",
    ),
    mutant(
        "this host's ports are nobody's",
        "guard.rs",
        "_ => key.protocol != TCP || opens(parsed.flags)",
        "_ => false",
    ),
];

const fn mutant(
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
) -> Mutant {
    Mutant {
        name,
        file,
        right,
        wrong,
    }
}

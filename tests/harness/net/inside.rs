//! The kube pool's ground as a NAT's: gateway-1 translates, gateway-2 is an inside host whose way to the client is
//! gateway-1's box-network address, and the client is the one outside.

use super::LIMIT;
use super::gateway::Gateway;
use super::namespace::Namespace;
use super::site::CLIENT;
use super::wait::wait_for;
use super::world::World;
use anyhow::{Result, ensure};
use serde_json::Value;
use std::net::Ipv4Addr;

/// The NAT address of [`INVENTORY`], as keepalived would put it.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 50);

/// gateway-1 translates, as the VIP.
pub const INVENTORY: &str = "nat:
  vars:
    input_interface: box-network
    output_interface: gateway-network
    vips:
      gateway-network: {virtual_router_id: 6, vip: 10.9.0.50}
  hosts:
    gateway-1: {box-network: {address: 192.168.1.1}}
";

/// The inside host.
pub fn host(world: &World) -> &Namespace {
    &world.site.gateway(2).namespace
}

/// Gives it the way to the client.
pub fn route(world: &World) -> Result<()> {
    let by = world.site.gateway(1).box_network;
    host(world).ip(&[format!("route add {CLIENT}/32 via {by}")])
}

/// What `stats` says of translation.
pub fn nat(gateway: &Gateway) -> Result<Value> {
    Ok(gateway.tell(&["stats", "--json"])?.json()?["nat"].clone())
}

/// Puts the VIP on the gateway (`add`), or takes it off (`del`), and waits until its daemon has seen it.
pub fn vip(gateway: &Gateway, verb: &str) -> Result<()> {
    let address = format!("addr {verb} {VIP}/32 dev gateway-network");
    gateway.namespace.ip(&[address])?;
    wait_for("translation to follow the VIP", LIMIT, || {
        let active = nat(gateway)?["active"] == (verb == "add");
        ensure!(active, "not yet");
        Ok(())
    })
}

//! What every test needs: servers, an application on them, and patience.

mod app;
mod broker;
mod eventually;
mod servers;
mod store;
mod temporal;

pub(crate) use app::{App, Options, Places, text};
pub(crate) use eventually::eventually;
pub(crate) use servers::{ONBOARD, Own, own_servers, shared_servers};

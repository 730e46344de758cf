//! Accounts after their registration: sessions, keys, roles and the secret, and what is
//! left of them when a process dies at a step.

mod crashes;
mod events;
mod keys;
mod login;
mod refresh;
mod roles;
mod secret;
mod sessions;

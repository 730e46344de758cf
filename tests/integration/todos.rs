//! The todos of users: whose they are, how they are listed and changed, and
//! what happens to the welcome todo.

mod basics;
mod deletion;
mod keys;
mod kills;
mod pages;
mod validation;
mod versions;

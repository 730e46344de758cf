//! Every effect on a server is taken as a step that a test can kill.
//!
//! The sources are parsed: a function that calls a driver's writing method must
//! wrap each such call in `onboard_fault::step` (or stand between `before` and
//! `after`), and a transaction takes its step by `transact_at`. The steps that the code
//! takes are those of the kill-point matrix.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprCall, ExprMethodCall, ImplItemFn, ItemFn, ItemMod, Lit, Macro};

use crate::kill_points::{Driven, STEPS};

/// Where code has effects on servers on behalf of a registration.
const CODE: [&str; 11] = [
    "activities",
    "crates/broker",
    "crates/inbox",
    "crates/mongo",
    "crates/ops",
    "crates/outbox",
    "crates/temporal",
    "services/auth",
    "services/relay",
    "services/todo",
    "services/worker",
];

/// Preparation of servers: repeated as a whole until it holds, before anybody
/// registers; and the doctor, whose one message reaches no queue.
const PREPARATION: [&str; 8] = [
    "crates/broker/src/inspect.rs",
    "crates/broker/src/setup.rs",
    "crates/broker/src/topology.rs",
    "crates/outbox/src/known.rs",
    "crates/mongo/src/setup.rs",
    "crates/mongo/src/setup",
    "services/auth/src/store/users/forms.rs",
    "crates/temporal/src/setup.rs",
];

/// What runs a transaction for those who take the step.
const CARRIER: &str = "crates/mongo/src/mongo.rs";

/// The writing methods of the drivers of MongoDB, RabbitMQ and Temporal.
const EFFECTS: [&str; 25] = [
    "insert_one",
    "insert_many",
    "update_one",
    "update_many",
    "replace_one",
    "delete_one",
    "delete_many",
    "find_one_and_update",
    "find_one_and_replace",
    "find_one_and_delete",
    "bulk_write",
    "and_run",
    "and_run2",
    "commit_transaction",
    "basic_publish",
    "basic_ack",
    "basic_nack",
    "basic_reject",
    "ack",
    "nack",
    "reject",
    "start_workflow",
    "signal",
    "signal_with_start",
    "terminate",
];

#[test]
fn every_effect_on_a_server_is_a_step_that_can_be_killed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Found::default();
    for file in CODE.iter().flat_map(|code| sources(&root.join(code).join("src"))) {
        let name = file.strip_prefix(root).unwrap().to_owned();
        let is_exempt = PREPARATION.iter().any(|prepares| name.starts_with(prepares));
        if is_exempt || name.starts_with(CARRIER) {
            continue;
        }
        found.file = name.display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        found.visit_file(&syn::parse_file(&text).unwrap());
    }
    assert!(found.effects > 10, "the drivers' methods are recognised: {}", found.effects);
    assert_eq!(found.bare, Vec::<String>::new(), "effects outside `onboard_fault::step`");
    let all: BTreeSet<String> = STEPS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found.steps, all, "steps that are taken, and steps of the matrix");
}

#[test]
fn every_step_that_no_registration_drives_has_a_test_of_its_own() {
    let mut tests = Found::default();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("integration")) {
        tests.visit_file(&syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap());
    }
    let own = STEPS.iter().filter(|(_, driven)| !matches!(driven, Driven::Plainly(_)));
    let without: Vec<_> = own.filter(|(name, _)| !tests.steps.contains(*name)).collect();
    assert!(without.is_empty(), "no test arms {without:?}");
}

#[test]
fn an_effect_outside_a_step_is_seen() {
    let bare = "async fn f(c: C) { c.users.insert_one(&x).await; }";
    let wrapped = "async fn f(c: C) { step(CLAIM, c.insert_one(&x)).await; }";
    let second = "async fn f(c: C) { step(CLAIM, c.ack()).await; c.nack().await; }";
    let transaction = "async fn f(c: C) { transact(c, async |s| Ok(())).await; }";
    let at_a_step = "async fn f(c: C) { transact_at(CLAIM, c, async |s| Ok(())).await; }";
    let hidden = "async fn f(c: C) { select! { x = c.insert_one(&x) => x } }";
    let inside = "async fn f(c: C) { c.insert_one(&x).upsert(true).session(s).await; }";
    let test = "#[cfg(test)] mod tests { fn f(c: C) { c.insert_one(&x); } }";
    for (code, bare) in [
        (bare, 1),
        (wrapped, 0),
        (second, 1),
        (transaction, 1),
        (at_a_step, 0),
        (hidden, 1),
        (inside, 0),
        (test, 0),
    ] {
        let mut found = Found::default();
        found.visit_file(&syn::parse_str(code).unwrap());
        assert_eq!(found.bare.len(), bare, "{code}: {:?}", found.bare);
    }
}

pub(super) fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| !path.ends_with("tests.rs"))
        .collect()
}

#[derive(Default)]
struct Found {
    file: String,
    effects: usize,
    steps: BTreeSet<String>,
    bare: Vec<String>,
    /// Of the function being visited: effects, and steps around them.
    here: (usize, usize),
}

impl Found {
    fn function(&mut self, name: &syn::Ident, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.here);
        visit(self);
        let (effects, steps) = std::mem::replace(&mut self.here, outer);
        self.effects += effects;
        if effects > steps {
            self.bare.push(format!("{}: {name}: {effects} effects, {steps} steps", self.file));
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !module.attrs.iter().any(is_cfg_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig.ident, |found| visit::visit_item_fn(found, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.sig.ident, |found| visit::visit_impl_item_fn(found, function));
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "session" {
            // Inside a transaction: visible when that is committed.
            return;
        }
        let ours = matches!(&*call.receiver, Expr::Path(path) if path.path.is_ident("self"));
        if !ours && EFFECTS.iter().any(|effect| call.method == effect) {
            self.here.0 += 1;
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func
            && let Some(name) = path.path.segments.last()
        {
            self.here.0 += usize::from(name.ident == "transact");
            self.here.1 += usize::from(name.ident == "step" || name.ident == "before");
            if name.ident == "Step"
                && let Some(Expr::Lit(lit)) = call.args.first()
                && let Lit::Str(step) = &lit.lit
            {
                self.steps.insert(step.value());
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        // What a macro does with its tokens is not known: no effects in there.
        let tokens = called.tokens.to_string();
        let words = tokens.split(|c: char| !c.is_alphanumeric() && c != '_');
        let effects = words.filter(|word| EFFECTS.contains(word) && !tokens.contains('"'));
        self.here.0 += effects.count();
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|of| of == "test")
}

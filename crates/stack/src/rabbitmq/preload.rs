//! Loads RabbitMQ's code in one go before the node boots.
//!
//! The boot loads some thousand modules one by one, and each one makes Erlang
//! copy its tables: half of the node's start, in time and in CPU. Modules that
//! are not there are passed over, and whatever goes wrong here leaves the boot
//! as it would be without.

use std::path::Path;

/// Applications in the folder `plugins`: the broker, the management plugin, and
/// what they need.
const PLUGINS: &str = "accept,amqp10_common,amqp_client,aten,base64url,cowboy,cowlib,\
    credentials_obfuscation,cuttlefish,enough,gen_batch_server,getopt,jsx,observer_cli,osiris,ra,\
    rabbit,rabbit_common,rabbitmq_management,rabbitmq_management_agent,rabbitmq_prelaunch,\
    rabbitmq_web_dispatch,ranch,recon,redbug,seshat,stdout_formatter,syslog,sysmon_handler,\
    systemd,thoas";
/// Erlang's own applications among them.
const ERLANG: &str = "asn1,compiler,crypto,inets,kernel,mnesia,os_mon,public_key,sasl,ssl,stdlib,\
    syntax_tools,tools,xmerl";

/// The arguments file (`erl -args_file`) that does it, for the server below
/// `lib`, which holds `rabbitmq_server-<version>`.
pub(super) fn arguments(lib: &Path) -> String {
    // In the file a quote ends the argument, in Erlang a string.
    let lib = lib.display().to_string().replace(['\'', '"', '\\'], "?");
    format!(
        "-eval 'catch begin \
         Plugins = filelib:wildcard(\"{lib}/rabbitmq_server-*/plugins/{{{PLUGINS}}}-*/ebin\"), \
         Erlang = [filename:join(Dir, \"ebin\") \
         || App <- [{ERLANG}], Dir <- [code:lib_dir(App)], is_list(Dir)], \
         code:add_pathsz(Plugins), \
         code:ensure_modules_loaded([list_to_atom(filename:basename(File, \".beam\")) \
         || Dir <- Plugins ++ Erlang, File <- filelib:wildcard(Dir ++ \"/*.beam\")]) end.'\n"
    )
}

# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_glasshouse_global_optspecs
    string join \n config= state-dir= log= h/help V/version
end

function __fish_glasshouse_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_glasshouse_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_glasshouse_using_subcommand
    set -l cmd (__fish_glasshouse_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c glasshouse -n "__fish_glasshouse_needs_command" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_needs_command" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_needs_command" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_needs_command" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "up" -d 'Try it: start everything on this machine\'s loopback interface'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "probe" -d 'Role: read the hardware and write frames for the node'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "node" -d 'Role: take frames and keep the store'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "serve" -d 'Role: answer MCP clients'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "authd" -d 'Role: sign people in, for a lab or one machine'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "check" -d 'Say what would run, what is missing and why'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "collect" -d 'Read this machine once and print what was read'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "query" -d 'Print values of one metric from the store'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "events" -d 'Print what is wrong, worst first; ends with 1 where something is open'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "logs" -d 'Print what kernel, BMC and GPU driver wrote into their logs, newest last'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "export" -d 'Write stored samples as files for other programs, a folder a day'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "store" -d 'Look into the store'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "collectors" -d 'Look at the collectors'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "policy" -d 'Check and explain the policies'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "audit" -d 'Check the audit log'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "mcp" -d 'Bridge a local MCP client on standard input and output to a face'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "completions" -d 'Print completions for a shell'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "man" -d 'Write the man pages into a folder'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "version" -d 'Print the version'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "generate" -d 'Write every generated file below the root of a checkout'
complete -c glasshouse -n "__fish_glasshouse_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand up" -l listen -d 'Where the face listens; the authorization server takes the port after it, port 0 takes free ones' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand up" -l probe-config -d 'What the probe is to do besides, as in probe.toml: name a BMC, switch a collector off' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand up" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand up" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand up" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand up" -l json -d 'When ready, print one line: {"mcp", "issuer", "metrics", "login", "clients"}'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand up" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand up" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -l run-as -d 'Drop to this user before anything else is done' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -l groups -d 'Have these supplementary groups, and no others' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -l supervised-by -d 'End when this process, the parent, ends' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -l listener-on-stdin -d 'The listening socket is standard input'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -l metrics-on-stdout -d 'The listening socket of the metrics is standard output'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand probe" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -l run-as -d 'Drop to this user before anything else is done' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -l groups -d 'Have these supplementary groups, and no others' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -l supervised-by -d 'End when this process, the parent, ends' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -l listener-on-stdin -d 'The listening socket is standard input'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -l metrics-on-stdout -d 'The listening socket of the metrics is standard output'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand node" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -l run-as -d 'Drop to this user before anything else is done' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -l groups -d 'Have these supplementary groups, and no others' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -l supervised-by -d 'End when this process, the parent, ends' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -l listener-on-stdin -d 'The listening socket is standard input'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -l metrics-on-stdout -d 'The listening socket of the metrics is standard output'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand serve" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -l run-as -d 'Drop to this user before anything else is done' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -l groups -d 'Have these supplementary groups, and no others' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -l supervised-by -d 'End when this process, the parent, ends' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -l listener-on-stdin -d 'The listening socket is standard input'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -l metrics-on-stdout -d 'The listening socket of the metrics is standard output'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand authd" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand check" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand check" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand check" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand check" -l json -d 'Print JSON: {"ok", "items": [{"level", "what", "says"}]}'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand check" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand check" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -l root -d 'Read the machine below this folder, e.g. a captured tree [default: what the config says, /]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -l format -d 'How to print it' -r -f -a "openmetrics\t'OpenMetrics text, names as OpenTelemetry translates them for Prometheus'
json\t'One JSON object'"
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -l collector -d 'Only this collector; may be given several times' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -l once -d 'Read once and end'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collect" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l label -d 'Only series with this label; may be given several times' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l from -d 'Start: RFC 3339, or back from now as in `-1h`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l to -d 'End: RFC 3339, `now`, or back from now as in `-10m`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l step -d 'One value for each of these, e.g. `1m` [default: a sixtieth of the window]' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l aggregation -d 'How a step becomes one value [default: rate for counters, last for states, else mean]' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l format -d 'How to print it' -r -f -a "table\t'For people'
csv\t'time,metric,labels,value,unit'
json\t'One JSON object'"
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand query" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand events" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand events" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand events" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand events" -l all -d 'Also what was resolved, newest first'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand events" -l follow -d 'Go on with each change, looked for each second; ends with 0'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand events" -l json -d 'Print JSON, one line an event: {"id", "node", "state", "severity", "cause", "component", "source", "detail", "first_seen", "last_seen", "resolved", "evidence", "next_step"}'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand events" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand events" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l source -d 'Only entries of this source; may be given several times' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l severity -d 'Only entries at least this severe' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l from -d 'Start: RFC 3339, or back from now as in `-1h`; an entry counts by when it happened and by when it was heard' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l to -d 'End: RFC 3339, `now`, or back from now as in `-10m`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l most -d 'Entries at most; the newest are kept' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -l json -d 'Print JSON, one line an entry: {"at", "heard", "source", "origin", "id", "severity", "code", "component", "text", "raw"}'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand logs" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l format -d 'Which files' -r -f -a "parquet\t'`day=…/collector=…/part-0.parquet`, for DuckDB, pandas, Spark and Polars'
openmetrics\t'`day=…/metrics.om`, for `promtool tsdb create-blocks-from openmetrics`'"
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l from -d 'Start: RFC 3339, or back from now as in `-24h` [default: the oldest sample]' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l to -d 'End: RFC 3339, `now`, or back from now as in `-1h` [default: the newest sample]' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l metric -d 'Only this metric; may be given several times' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l label -d 'Only series with this label; may be given several times' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l output -d 'The folder to write into, made where it is missing; a day that stands there already is refused' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l force -d 'Export days that stand there already: files that are written anew are replaced whole, others stay'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -l json -d 'Print JSON when it is done: {"format", "output", "days": [{"day", "files", "series", "samples", "bytes"}], "files", "samples", "bytes", "left_out", "damaged"}'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand export" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and not __fish_seen_subcommand_from stat help" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and not __fish_seen_subcommand_from stat help" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and not __fish_seen_subcommand_from stat help" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and not __fish_seen_subcommand_from stat help" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and not __fish_seen_subcommand_from stat help" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and not __fish_seen_subcommand_from stat help" -f -a "stat" -d 'What the store holds, tier by tier'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and not __fish_seen_subcommand_from stat help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and __fish_seen_subcommand_from stat" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and __fish_seen_subcommand_from stat" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and __fish_seen_subcommand_from stat" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and __fish_seen_subcommand_from stat" -l json -d 'Print JSON'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and __fish_seen_subcommand_from stat" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and __fish_seen_subcommand_from stat" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "stat" -d 'What the store holds, tier by tier'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and not __fish_seen_subcommand_from list help" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and not __fish_seen_subcommand_from list help" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and not __fish_seen_subcommand_from list help" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and not __fish_seen_subcommand_from list help" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and not __fish_seen_subcommand_from list help" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and not __fish_seen_subcommand_from list help" -f -a "list" -d 'Every collector with its metrics, and why it is absent here'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and not __fish_seen_subcommand_from list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from list" -l root -d 'Look for the sources below this folder [default: what the config says, /]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from list" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from list" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from list" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from help" -f -a "list" -d 'Every collector with its metrics, and why it is absent here'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand collectors; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -l policies -d 'The folder of the policies [default: what the config says, else those built in]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -f -a "check" -d 'Parse them and check them against the schema'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -f -a "explain" -d 'Decide one call and say which policies decided; ends with 1 where it is denied'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -f -a "matrix" -d 'Print every task against every tool'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and not __fish_seen_subcommand_from check explain matrix help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from check" -l policies -d 'The folder of the policies [default: what the config says, else those built in]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from check" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from check" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from check" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l tool -d 'The tool that is called' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l task -d 'The task of the token; left out: a token without a task' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l subject -d 'The person' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l client -d 'The MCP client' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l group -d 'A group of the person; may be given several times' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l argument -d 'An argument of the call; may be given several times' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l from -d 'Start of the window that the call reads: RFC 3339, or back from now' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l to -d 'End of that window' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l rows -d 'Rows of the answer at most' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l used-calls -d 'Calls that the grant has made in the last 24 h' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l used-rows -d 'Rows that it was given in the last 24 h' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l policies -d 'The folder of the policies [default: what the config says, else those built in]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -l json -d 'Print JSON'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from explain" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from matrix" -l policies -d 'The folder of the policies [default: what the config says, else those built in]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from matrix" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from matrix" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from matrix" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from matrix" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from matrix" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "check" -d 'Parse them and check them against the schema'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Decide one call and say which policies decided; ends with 1 where it is denied'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "matrix" -d 'Print every task against every tool'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and not __fish_seen_subcommand_from verify help" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and not __fish_seen_subcommand_from verify help" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and not __fish_seen_subcommand_from verify help" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and not __fish_seen_subcommand_from verify help" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and not __fish_seen_subcommand_from verify help" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and not __fish_seen_subcommand_from verify help" -f -a "verify" -d 'Check the log against its signed checkpoints; ends with 1 where it was changed'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and not __fish_seen_subcommand_from verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and __fish_seen_subcommand_from verify" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and __fish_seen_subcommand_from verify" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and __fish_seen_subcommand_from verify" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'Print JSON'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Check the log against its signed checkpoints; ends with 1 where it was changed'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand mcp" -l url -d 'The face\'s MCP endpoint' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand mcp" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand mcp" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand mcp" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand mcp" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand mcp" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand completions" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand completions" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand completions" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand completions" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand completions" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand man" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand man" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand man" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand man" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand man" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand version" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand version" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand version" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand version" -l json -d 'Print JSON: {"name", "version"}'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand version" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand version" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand generate" -l config -d 'Config file [default: /etc/glasshouse/glasshouse.toml, for the probe probe.toml beside it]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand generate" -l state-dir -d 'State folder: where telemetry and the audit log are [default: what the config says, /var/lib/glasshouse]' -r -F
complete -c glasshouse -n "__fish_glasshouse_using_subcommand generate" -l log -d 'What is logged to standard error: a level, or a filter such as `info,glasshouse_store=debug`' -r
complete -c glasshouse -n "__fish_glasshouse_using_subcommand generate" -s h -l help -d 'Print help'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand generate" -s V -l version -d 'Print version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "up" -d 'Try it: start everything on this machine\'s loopback interface'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "probe" -d 'Role: read the hardware and write frames for the node'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "node" -d 'Role: take frames and keep the store'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "serve" -d 'Role: answer MCP clients'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "authd" -d 'Role: sign people in, for a lab or one machine'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "check" -d 'Say what would run, what is missing and why'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "collect" -d 'Read this machine once and print what was read'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "query" -d 'Print values of one metric from the store'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "events" -d 'Print what is wrong, worst first; ends with 1 where something is open'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "logs" -d 'Print what kernel, BMC and GPU driver wrote into their logs, newest last'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "export" -d 'Write stored samples as files for other programs, a folder a day'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "store" -d 'Look into the store'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "collectors" -d 'Look at the collectors'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "policy" -d 'Check and explain the policies'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "audit" -d 'Check the audit log'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "mcp" -d 'Bridge a local MCP client on standard input and output to a face'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "completions" -d 'Print completions for a shell'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "man" -d 'Write the man pages into a folder'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "version" -d 'Print the version'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "generate" -d 'Write every generated file below the root of a checkout'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and not __fish_seen_subcommand_from up probe node serve authd check collect query events logs export store collectors policy audit mcp completions man version generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "stat" -d 'What the store holds, tier by tier'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and __fish_seen_subcommand_from collectors" -f -a "list" -d 'Every collector with its metrics, and why it is absent here'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "check" -d 'Parse them and check them against the schema'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "explain" -d 'Decide one call and say which policies decided; ends with 1 where it is denied'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "matrix" -d 'Print every task against every tool'
complete -c glasshouse -n "__fish_glasshouse_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "verify" -d 'Check the log against its signed checkpoints; ends with 1 where it was changed'

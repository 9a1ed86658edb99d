# fish completion of hindsight(1)
set -l commands run core doctor
complete -c hindsight -f -n "not __fish_seen_subcommand_from $commands" -a run -d 'run a guest'
complete -c hindsight -f -n "not __fish_seen_subcommand_from $commands" -a core -d 'look into a core'
complete -c hindsight -f -n "not __fish_seen_subcommand_from $commands" -a doctor -d 'show what this host can do'
complete -c hindsight -f -n "not __fish_seen_subcommand_from $commands" -l version -d 'show the version'
complete -c hindsight -l help -d 'show help'

complete -c hindsight -n '__fish_seen_subcommand_from run' -l gdb -x -a ':1234 unix: stdio' -d 'wait for a debugger'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l gdb-on-crash -x -a ':1234 unix: stdio' -d 'wait for a debugger at a crash'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l gdb-allow-remote -d 'let other hosts connect'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l core -x -a 'none (__fish_complete_directories)' -d 'where cores go'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l timeout -x -d 'end the guest after seconds'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l backend -x -a 'auto kvm soft' -d CPU
complete -c hindsight -n '__fish_seen_subcommand_from run' -l boot -x -a 'auto native pvh' -d 'boot protocol'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l heap -x -d 'heap of the guest'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l scratch -x -d 'scratch memory'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l memory -x -d 'most memory in all'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l log-level -x -d 'log level that the guest is told'

complete -c hindsight -n '__fish_seen_subcommand_from core; and not __fish_seen_subcommand_from info' -f -a info
complete -c hindsight -n '__fish_seen_subcommand_from core' -l all -d 'list every segment'
complete -c hindsight -n '__fish_seen_subcommand_from core doctor' -l json -d 'print one JSON object'

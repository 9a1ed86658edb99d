# fish completion of hindsight(1)
set -l commands run core pagetable doctor
complete -c hindsight -f -n "not __fish_seen_subcommand_from $commands" -a run -d 'run a guest'
complete -c hindsight -f -n "not __fish_seen_subcommand_from $commands" -a core -d 'look into a core'
complete -c hindsight -f -n "not __fish_seen_subcommand_from $commands" -a pagetable -d 'read page tables'
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
complete -c hindsight -n '__fish_seen_subcommand_from run' -l map -r -F -d 'put a private copy of a file into the guest'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l call -x -d 'call a function of the guest'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l cycles -x -d 'restore and call, so many times'
complete -c hindsight -n '__fish_seen_subcommand_from run' -l log-level -x -d 'log level that the guest is told'

complete -c hindsight -n '__fish_seen_subcommand_from core; and not __fish_seen_subcommand_from info' -f -a info
complete -c hindsight -n '__fish_seen_subcommand_from core' -l all -d 'list every segment'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable; and not __fish_seen_subcommand_from list spaces walk' -f -a 'list spaces walk'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable' -l image -r -F -d 'raw image of physical memory'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable' -l base -x -d 'physical address of its first byte'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable' -l format -x -a 'none i686 pae amd64-4 amd64-5 aarch64-ttbr0 aarch64-ttbr1' -d 'format'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable' -l root -x -d 'CR3 or TTBR'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable' -l no-nxe -d 'EFER.NXE is 0'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable' -l no-pse -d 'CR4.PSE is 0'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable' -l pdpte-a -d 'PDPTEs of pae as QEMU sets them'
complete -c hindsight -n '__fish_seen_subcommand_from pagetable' -l physical-bits -x -d MAXPHYADDR
complete -c hindsight -n '__fish_seen_subcommand_from list' -l start -x -d 'begin at this address'
complete -c hindsight -n '__fish_seen_subcommand_from list spaces' -l ranges -x -d 'most ranges'
complete -c hindsight -n '__fish_seen_subcommand_from list spaces' -l tables -x -d 'most tables visited'
complete -c hindsight -n '__fish_seen_subcommand_from core pagetable doctor' -l json -d 'print one JSON object'

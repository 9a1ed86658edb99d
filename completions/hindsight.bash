# bash completion of hindsight(1)                                     -*- shell-script -*-
_hindsight_run_options="--gdb --gdb-on-crash --gdb-allow-remote --core --timeout --backend --boot --heap --scratch
	--memory --map --call --cycles --json --snapshot --roots --log-level --help"
_hindsight_restore_options="--gdb --gdb-on-crash --gdb-allow-remote --core --timeout --backend --call --cycles --json
	--memory --verify --help"
_hindsight_pagetable_options="--image --base --format --root --no-nxe --no-pse --pdpte-a --physical-bits --json --help"

_hindsight()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words="" i

	COMPREPLY=()
	# What follows -- is the guest's.
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
		fi
	done
	if ((COMP_CWORD == 1)); then
		words="run restore core pagetable doctor --help --version"
	elif [[ $command == run || $command == restore ]]; then
		case $prev in
		--backend) words="auto kvm soft" ;;
		--boot) words="auto native pvh" ;;
		--roots) words="registered current symbol:" ;;
		--gdb | --gdb-on-crash) words=":1234 unix: stdio" ;;
		--core)
			mapfile -t COMPREPLY < <(compgen -d -W none -- "$cur")
			return
			;;
		--timeout | --heap | --scratch | --memory | --call | --cycles | --log-level) return ;;
		*)
			[[ $cur == -* ]] && words=$_hindsight_run_options
			[[ $words && $command == restore ]] && words=$_hindsight_restore_options
			;;
		esac
	elif [[ $command == core ]]; then
		if ((COMP_CWORD == 2)); then
			words="info report --help"
		elif [[ $cur == -* && ${COMP_WORDS[2]} == report ]]; then
			words="--json --html --image --help"
		elif [[ $cur == -* ]]; then
			words="--json --all --help"
		fi
	elif [[ $command == pagetable ]]; then
		case $prev in
		--format) words="none i686 pae amd64-4 amd64-5 aarch64-ttbr0 aarch64-ttbr1" ;;
		--base | --root | --physical-bits | --start | --ranges | --tables) return ;;
		pagetable) words="list spaces walk --help" ;;
		*)
			[[ $cur == -* ]] && words=$_hindsight_pagetable_options
			[[ $words && ${COMP_WORDS[2]} != walk ]] && words+=" --ranges --tables"
			[[ $words && ${COMP_WORDS[2]} == list ]] && words+=" --start"
			;;
		esac
	elif [[ $command == doctor ]]; then
		words="--json --help"
	fi
	if [[ $words ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -o filenames -F _hindsight hindsight

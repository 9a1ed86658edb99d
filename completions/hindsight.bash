# bash completion of hindsight(1)                                     -*- shell-script -*-
_hindsight_run_options="--gdb --gdb-on-crash --gdb-allow-remote --core --core-limit --core-compress --timeout
	--backend --boot --heap --scratch --memory --map --call --cycles --json --snapshot --roots
	--log-level --help"
_hindsight_restore_options="--gdb --gdb-on-crash --gdb-allow-remote --core --core-limit --core-compress --timeout
	--backend --call --cycles --json --memory --verify --help"
_hindsight_image_options="--image --base --format --root --no-nxe --no-pse --pdpte-a --physical-bits --regs --signal
	--output --help"
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
		words="run restore debug core pagetable doctor --help --version"
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
		--core-compress) words="none zstd" ;;
		--core-limit | --timeout | --heap | --scratch | --memory | --call | --cycles | --log-level) return ;;
		*)
			[[ $cur == -* ]] && words=$_hindsight_run_options
			[[ $words && $command == restore ]] && words=$_hindsight_restore_options
			;;
		esac
	elif [[ $command == debug ]]; then
		[[ $prev == --gdb ]] && words=":1234 unix: stdio"
		[[ $prev != --gdb && $cur == -* ]] && words="--gdb --gdb-allow-remote --image --help"
	elif [[ $command == core ]]; then
		case $prev in
		core) words="info report extract verify from-image --help" ;;
		--format) words="none i686 pae amd64-4 amd64-5" ;;
		--base | --root | --physical-bits | --signal) return ;;
		*)
			[[ $cur == -* ]] && words="--help"
			[[ $words && ${COMP_WORDS[2]} == info ]] && words="--json --all --hash --help"
			[[ $words && ${COMP_WORDS[2]} == report ]] && words="--json --html --image --debug-dir --help"
			[[ $words && ${COMP_WORDS[2]} == extract ]] && words="--root --output --help"
			[[ $words && ${COMP_WORDS[2]} == from-image ]] && words=$_hindsight_image_options
			;;
		esac
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

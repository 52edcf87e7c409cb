# Completion of doorman, written by `make completion`.
autoload -Uz compinit bashcompinit && compinit && bashcompinit
_doorman() {
  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words="" options=""
  case "${COMP_WORDS[*]:1:$((COMP_CWORD-1))} " in
    "doctor "*) words="" options="-h --help --os-cloud --policy --project --record --yes --json" ;;
    "run "*) words="" options="-h --help --project --os-cloud --policy --json --state --new --fail-on --dry-run --report --notify" ;;
    "pending "*) words="" options="-h --help --project --os-cloud --policy --json --state --new --fail-on --facts" ;;
    "approve "*) words="" options="-h --help --project --reason --yes --os-cloud --policy --json --vault" ;;
    "reject "*) words="" options="-h --help --project --reason --yes --os-cloud --policy --json" ;;
    "reconcile "*) words="" options="-h --help --project --os-cloud --policy --json --state --new --fail-on --enforce --yes --usage" ;;
    "report "*) words="" options="-h --help --html --policy --image --csv --markdown" ;;
    "notify "*) words="" options="-h --help --test --policy" ;;
    "replay "*) words="" options="-h --help --send --only --to --json --collect --give" ;;
    "policy check "*) words="" options="-h --help --strict --live --output" ;;
    "policy test "*) words="" options="-h --help --policy --require-coverage --output" ;;
    "policy suggest "*) words="" options="-h --help --shares --out" ;;
    "policy diff "*) words="" options="-h --help --shares --live --json" ;;
    "policy schema "*) words="" options="-h --help" ;;
    "policy "*) words="check test suggest diff schema" options="-h --help" ;;
    "explain "*) words="" options="-h --help --project --os-cloud --policy --shares --json" ;;
    "send "*) words="" options="-h --help --to" ;;
    "sandbox "*) words="" options="-h --help --demo --open --port --replay --policy --profile --log-level" ;;
    " ") words="doctor run pending approve reject reconcile report notify replay policy explain send sandbox" options="--help --version --print-completion" ;;
  esac
  case "$before" in
    --fail-on) words="held failed drifted" ;;
    --output) words="text json junit sarif" ;;
    --profile) words="kafka mt" ;;
    --log-level) words="debug info warning error" ;;
    --print-completion) words="bash zsh fish" ;;
  esac
  [[ "$word" == -* ]] && words="$options"
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _doorman doorman

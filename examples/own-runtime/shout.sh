# The function: gets the event as its argument, prints the response, and logs to stderr.
shout() {
  echo "shouting $(printf %s "$1" | wc -c) bytes" >&2
  printf %s "$1" | tr '[:lower:]' '[:upper:]'
}

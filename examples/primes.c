// A handler in C, for the WebAssembly runtime: no libc and no WASI, less than 1 KB. Built with
//   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry,--strip-all -o primes.wasm primes.c
//
// handle(pointer, length) gets the payload, which the runtime wrote to where alloc(length) said, and returns where its
// result lies: (pointer << 32) | length. With the topmost bit of the length set the result is an error.
// Every invocation has an instance of its own, so nothing needs to be freed or cleared.

#define EXPORT(name) __attribute__((export_name(name)))
#define BELOW_MAX 1000000
#define ERROR 0x80000000u

static unsigned char composite[BELOW_MAX];
static char payload[65536];
static char result[64];

EXPORT("alloc") char *allocate(unsigned length) { return length <= sizeof payload ? payload : 0; }

static unsigned long long answer(const char *text, unsigned length) {
  return (unsigned long long)(unsigned long)text << 32 | length;
}

static char *append(char *at, const char *text) {
  while (*text) *at++ = *text++;
  return at;
}

static char *append_number(char *at, unsigned number) {
  if (number >= 10) at = append_number(at, number / 10);
  *at++ = '0' + number % 10;
  return at;
}

// The first number in {"below": number}; 0 if there is none.
static unsigned read_number(const char *text, unsigned length) {
  unsigned number = 0;
  unsigned at = 0;
  while (at < length && (text[at] < '0' || text[at] > '9')) at++;
  for (; at < length && text[at] >= '0' && text[at] <= '9' && number <= BELOW_MAX; at++) number = number * 10 + (text[at] - '0');
  return number;
}

EXPORT("handle") unsigned long long handle(const char *text, unsigned length) {
  unsigned below = read_number(text, length);
  if (below == 0 || below > BELOW_MAX) {
    static const char error[] = "{\"errorType\":\"BadRequest\",\"errorMessage\":\"below has to be 1 to 1000000\"}";
    return answer(error, (sizeof error - 1) | ERROR);
  }
  unsigned count = 0;
  for (unsigned candidate = 2; candidate < below; candidate++) {
    if (composite[candidate]) continue;
    count++;
    for (unsigned multiple = 2 * candidate; multiple < below; multiple += candidate) composite[multiple] = 1;
  }
  char *end = append_number(append(result, "{\"below\":"), below);
  end = append(append_number(append(end, ",\"primes\":"), count), "}");
  return answer(result, end - result);
}

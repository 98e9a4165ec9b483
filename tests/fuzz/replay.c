/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay.c - main() of a fuzz target without a fuzzer: run it over its checked-in corpus
 *
 * fuzz_NAME reads every file of $srcdir/tests/fuzz/corpus/NAME, or the files given as arguments (to see again what a
 * fuzzer found). It fails if there is none: a corpus that is not found must not look like one that passes.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "node/util/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void cleanup_closedirp(DIR **d) { if (*d) closedir(*d); }

/* An exact heap copy, so that the address sanitizer sees a read past the end. Return: 0 or -1 */
static int run_file(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "rb");
	_cleanup_free_ uint8_t *data = NULL;
	long size;

	if (!f || fseek(f, 0, SEEK_END) < 0 || (size = ftell(f)) < 0)
		goto failed;
	rewind(f);
	data = malloc(size ? (size_t)size : 1);
	if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
		goto failed;
	LLVMFuzzerTestOneInput(data, (size_t)size);
	return 0;
failed:
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return -1;
}

static int run_dir(const char *dir)
{
	__attribute__((cleanup(cleanup_closedirp))) DIR *d = opendir(dir);
	const struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d))) {
		char path[4096 + 256 + 1];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (run_file(path) < 0)
			return -1;
		n++;
	}
	if (!n)
		fprintf(stderr, "%s: no corpus there\n", dir);
	return n ? n : -1;
}

int main(int argc, char **argv)
{
	const char *src = getenv("srcdir"), *name = strrchr(argv[0], '/');
	char dir[4096];
	int n;

	name = name ? name + 1 : argv[0];
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	for (n = 1; n < argc; n++)
		if (run_file(argv[n]) < 0)
			return EXIT_FAILURE;
	if (argc > 1)
		return EXIT_SUCCESS;
	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", src ? src : ".", name);
	n = run_dir(dir);
	if (n < 0)
		return EXIT_FAILURE;
	printf("%s: %d inputs\n", name, n);
	return EXIT_SUCCESS;
}

/* Lets calls that change files below a folder fail, from the k-th on, as on a full or a read-only
 * disk. Loaded with LD_PRELOAD, so that the libraries of SQLite and HDF5 meet it as well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long calls, first;
static int code;

/* From now on the k-th call below `path` and all later ones fail with `error`; k = 0: none does. */
void disk_fails(const char *path, long k, int error) {
    snprintf(folder, sizeof folder, "%s", path);
    calls = 0, first = k, code = error;
}

long disk_calls(void) { return calls; }

static int fails(const char *path) {
    if (!folder[0] || !path || strncmp(path, folder, strlen(folder))) return 0;
    if (++calls < first || !first) return 0;
    errno = code;
    return 1;
}

static const char *path_of(int fd) {
    static __thread char path[PATH_MAX];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

static const char *below(int fd, const char *name) {
    static __thread char path[2 * PATH_MAX];
    if (name[0] == '/' || fd == AT_FDCWD) return name;
    snprintf(path, sizeof path, "%s/%s", path_of(fd), name);
    return path;
}

/* A full disk refuses new files, a read-only one every file that is opened for writing. */
static int refuses(const char *path, int flags) {
    struct stat facts;
    if (code == EROFS) return (flags & O_ACCMODE) != O_RDONLY && fails(path);
    return (flags & O_CREAT) && stat(path, &facts) && fails(path);
}

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT) { va_list list; va_start(list, flags); mode = va_arg(list, int); va_end(list); }

int open(const char *path, int flags, ...) {
    NEXT(open); MODE(flags);
    return refuses(path, flags) ? -1 : next(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    NEXT(open64); MODE(flags);
    return refuses(path, flags) ? -1 : next(path, flags, mode);
}
int openat(int fd, const char *path, int flags, ...) {
    NEXT(openat); MODE(flags);
    return refuses(below(fd, path), flags) ? -1 : next(fd, path, flags, mode);
}
int openat64(int fd, const char *path, int flags, ...) {
    NEXT(openat64); MODE(flags);
    return refuses(below(fd, path), flags) ? -1 : next(fd, path, flags, mode);
}
ssize_t write(int fd, const void *data, size_t size) {
    NEXT(write);
    return fails(path_of(fd)) ? -1 : next(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
    NEXT(pwrite);
    return fails(path_of(fd)) ? -1 : next(fd, data, size, place);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
    NEXT(pwrite64);
    return fails(path_of(fd)) ? -1 : next(fd, data, size, place);
}
int ftruncate(int fd, off_t size) {
    NEXT(ftruncate);
    return fails(path_of(fd)) ? -1 : next(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    NEXT(ftruncate64);
    return fails(path_of(fd)) ? -1 : next(fd, size);
}
int fsync(int fd) {
    NEXT(fsync);
    return fails(path_of(fd)) ? -1 : next(fd);
}
int fdatasync(int fd) {
    NEXT(fdatasync);
    return fails(path_of(fd)) ? -1 : next(fd);
}
int rename(const char *path, const char *new_path) {
    NEXT(rename);
    return fails(new_path) ? -1 : next(path, new_path);
}
int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    return fails(path) ? -1 : next(path, mode);
}
int unlink(const char *path) {
    NEXT(unlink);
    return code == EROFS && fails(path) ? -1 : next(path);
}
int unlinkat(int fd, const char *path, int flags) {
    NEXT(unlinkat);
    return code == EROFS && fails(below(fd, path)) ? -1 : next(fd, path, flags);
}
int rmdir(const char *path) {
    NEXT(rmdir);
    return code == EROFS && fails(path) ? -1 : next(path);
}

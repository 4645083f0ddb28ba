/* Keeps a mirror of a directory that holds only what was made durable, as POSIX promises it and no more:
 * a file's bytes as of its last fsync, and a directory's names as of the directory's last fsync.
 *
 *   DROPSYNC_DIR     the directory that is watched
 *   DROPSYNC_MIRROR  where the mirror goes: "<id>.file" bytes, "<id>.dir" lines of "<id> <d|f> <name>", "root" the id
 *   DROPSYNC_IGNORE  when set, fsync does nothing at all: the test that relies on the mirror must then fail
 *
 * A file is known by an id of its own, not by its inode number, which the kernel uses again. Preloaded into a process
 * that is killed without warning; what the mirror holds then is what a machine that lost its power would hold at
 * worst. Not modelled: torn sectors, reordering of writes within one fsync. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char watched[PATH_MAX], mirror[PATH_MAX];
static int ignored;
static struct { ino_t inode; unsigned id; } known[FILES_MAX];
static unsigned known_count, next_id = 1;

static unsigned id_of(ino_t inode, int is_new) {
    for (unsigned i = 0; i < known_count; i++) {
        if (known[i].inode == inode) {
            if (is_new) known[i].id = next_id++;
            return known[i].id;
        }
    }
    if (known_count == FILES_MAX) abort();
    known[known_count].inode = inode;
    known[known_count].id = next_id++;
    return known[known_count++].id;
}

static int is_watched(const char *path) {
    size_t n = strlen(watched);
    return n && strncmp(path, watched, n) == 0 && (path[n] == 0 || path[n] == '/');
}

static int (*real_open)(const char *, int, ...);
static int (*real_rename)(const char *, const char *);
static int (*real_mkdir)(const char *, mode_t);

static void put_in_place(const char *from, const char *name) {
    char to[PATH_MAX + 64];
    snprintf(to, sizeof to, "%s/%s", mirror, name);
    if (real_rename(from, to)) abort();
}

static void mirror_file(int fd, unsigned id) {
    char beside[PATH_MAX + 64], name[64], buffer[1 << 16];
    snprintf(beside, sizeof beside, "%s/%u.new", mirror, id);
    snprintf(name, sizeof name, "%u.file", id);
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int in = real_open(self, O_RDONLY | O_CLOEXEC);
    int out = real_open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) abort();
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, (size_t)n) != n) abort();
    close(in);
    close(out);
    put_in_place(beside, name);
}

static void mirror_directory(const char *path, unsigned id) {
    char beside[PATH_MAX + 64], name[64];
    snprintf(beside, sizeof beside, "%s/%u.new", mirror, id);
    snprintf(name, sizeof name, "%u.dir", id);
    int out = real_open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    DIR *dir = opendir(path);
    if (out < 0 || !dir) abort();
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char child[PATH_MAX];
        struct stat info;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (lstat(child, &info)) continue;
        dprintf(out, "%u %c %s\n", id_of(info.st_ino, 0), S_ISDIR(info.st_mode) ? 'd' : 'f', entry->d_name);
    }
    closedir(dir);
    close(out);
    put_in_place(beside, name);
}

/* What is there at the start is durable. */
static void mirror_all(const char *path) {
    struct stat info;
    if (lstat(path, &info)) abort();
    if (!S_ISDIR(info.st_mode)) {
        int fd = real_open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) abort();
        mirror_file(fd, id_of(info.st_ino, 0));
        close(fd);
        return;
    }
    mirror_directory(path, id_of(info.st_ino, 0));
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char child[PATH_MAX];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        mirror_all(child);
    }
    if (dir) closedir(dir);
}

__attribute__((constructor)) static void start(void) {
    const char *dir = getenv("DROPSYNC_DIR"), *to = getenv("DROPSYNC_MIRROR");
    real_open = dlsym(RTLD_NEXT, "open64");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir");
    ignored = getenv("DROPSYNC_IGNORE") != NULL;
    if (!dir || !to || !realpath(dir, watched) || !realpath(to, mirror)) return;
    mirror_all(watched);
    struct stat info;
    char path[PATH_MAX + 64];
    if (lstat(watched, &info)) abort();
    snprintf(path, sizeof path, "%s/root", mirror);
    int fd = real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dprintf(fd, "%u", id_of(info.st_ino, 0));
    close(fd);
}

static int sync_descriptor(int fd) {
    char self[64], path[PATH_MAX];
    struct stat info;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(self, path, sizeof path - 1);
    if (n < 0) return -1;
    path[n] = 0;
    if (!is_watched(path) || ignored || fstat(fd, &info)) return 0;
    pthread_mutex_lock(&lock);
    if (S_ISDIR(info.st_mode)) mirror_directory(path, id_of(info.st_ino, 0));
    else mirror_file(fd, id_of(info.st_ino, 0));
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return sync_descriptor(fd); }
int fdatasync(int fd) { return sync_descriptor(fd); }

/* A file that is created gets a new id, even if its inode number was in use before. */
static int open_any(const char *path, int flags, mode_t mode) {
    struct stat info;
    if (!real_open) real_open = dlsym(RTLD_NEXT, "open64");
    if (!(flags & O_CREAT) || !is_watched(path)) return real_open(path, flags, mode);
    pthread_mutex_lock(&lock);
    int was = lstat(path, &info) == 0;
    int fd = real_open(path, flags, mode);
    int error = errno;
    if (fd >= 0 && !was && fstat(fd, &info) == 0) id_of(info.st_ino, 1);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

static mode_t mode_of(int flags, va_list list) { return flags & O_CREAT ? (mode_t)va_arg(list, int) : 0; }

int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_any(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    struct stat info;
    if (!real_mkdir) real_mkdir = dlsym(RTLD_NEXT, "mkdir");
    if (!is_watched(path)) return real_mkdir(path, mode);
    pthread_mutex_lock(&lock);
    int result = real_mkdir(path, mode);
    int error = errno;
    if (result == 0 && lstat(path, &info) == 0) id_of(info.st_ino, 1);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

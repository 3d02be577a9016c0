/* Stands in for the frozen programs where they cannot be built: notes in %TEMP%\launched.log that
   and how it was started. */
#include <windows.h>
#include <stdio.h>
#include <string.h>

int WINAPI WinMain(HINSTANCE instance, HINSTANCE previous, LPSTR arguments, int show)
{
    char program[MAX_PATH], log[MAX_PATH];
    FILE *file;
    (void)instance; (void)previous; (void)show;
    GetModuleFileNameA(NULL, program, MAX_PATH);
    snprintf(log, sizeof log, "%s\\launched.log", getenv("TEMP"));
    file = fopen(log, "a");
    if (file == NULL)
        return 1;
    fprintf(file, "%s|%s\n", strrchr(program, '\\') + 1, arguments);
    fclose(file);
    return 0;
}

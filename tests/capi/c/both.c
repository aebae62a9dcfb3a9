/* Generations 2 and 4 in one process, joined to each other, each in each role. */
#include "check.h"

void two_open (const char *, int), four_open (const char *, int), two_close (void), four_close (void);
void two_send (int), four_send (int);
int two_poll (void), four_poll (void), two_receive (void), four_receive (void);

int
main (void)
{
  for (int master = 0; master < 2; master++)
    {
      const char *path = unique_path ();
      if (master)
        two_open (path, 1), four_open (path, 0);
      else
        four_open (path, 1), two_open (path, 0);
      UNTIL (two_poll () & four_poll (), (void) 0);
      for (int i = 0; i < 3000; i++)
        {
          two_send (i);
          CHECK (four_receive () == i);
          four_send (-i);
          CHECK (two_receive () == -i);
        }
      two_close ();
      four_close ();
    }
  return 0;
}
